//! What bodies are signed with: read anew at each attempt, so that it can be replaced while the service runs.

use std::fmt::Write as _;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::config::Secret;
use crate::limits;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    #[error("cannot be read: {0}")]
    Unreadable(String),
    #[error("may be read by others: take that from them (chmod 600)")]
    Open,
    #[error("is no secret: write one line, or two while it is replaced, each of {least} to {most} bytes of text", least = limits::NOTIFY_SECRET_BYTES_MIN, most = limits::NOTIFY_SECRET_BYTES)]
    Malformed,
}

/// The present secret, and after it the one before, while both count.
pub fn read_secrets(file: &Path) -> Result<Vec<Secret>, SecretError> {
    let unreadable = |error: std::io::Error| SecretError::Unreadable(error.to_string());
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    if opened.metadata().map_err(unreadable)?.permissions().mode() & 0o077 != 0 {
        return Err(SecretError::Open);
    }
    let mut bytes = Vec::new();
    opened.take(limits::SECRET_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| SecretError::Malformed)?;
    let secrets: Vec<&str> = text.trim_end_matches(['\r', '\n']).lines().collect();
    let fits = |secret: &&str| {
        (limits::NOTIFY_SECRET_BYTES_MIN..=limits::NOTIFY_SECRET_BYTES).contains(&secret.len())
            && !secret.chars().any(char::is_control)
    };
    if secrets.is_empty() || secrets.len() > limits::NOTIFY_SECRETS || !secrets.iter().all(fits) {
        return Err(SecretError::Malformed);
    }
    Ok(secrets.into_iter().map(Secret::new).collect())
}

/// HMAC-SHA256 over `TIMESTAMP.BODY`, in hexadecimal.
pub fn signature(secret: &Secret, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()).expect("a key may have any length");
    mac.update(timestamp.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    /// The worked example of `docs/notify.md`, reckoned there by openssl.
    #[test]
    fn the_documented_example_holds() {
        let docs = include_str!("../../docs/notify.md");
        let secret = Secret::new("correct horse battery staple");
        let signed = signature(&secret, 1_763_766_031, br#"{"id":"vigil-1.alert.1.4711"}"#);
        assert!(docs.contains(&signed), "{signed}");
    }

    #[test]
    fn a_file_holds_one_secret_or_two() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let check = |text: &str, mode: u32, want: Result<Vec<&str>, SecretError>| {
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let read = read_secrets(&file).map(|secrets| secrets.iter().map(|s| s.reveal().to_owned()).collect());
            assert_eq!(read, want.map(|all| all.into_iter().map(str::to_owned).collect::<Vec<_>>()), "{text:?}");
        };
        let (one, two) = ("0123456789abcdef", "fedcba9876543210");
        check(one, 0o600, Ok(vec![one]));
        check(&format!("{one}\n"), 0o400, Ok(vec![one]));
        check(&format!("{one}\r\n{two}\n\n"), 0o600, Ok(vec![one, two]));
        check(one, 0o640, Err(SecretError::Open));
        check(one, 0o604, Err(SecretError::Open));
        for text in [
            "",
            "\n",
            "short",
            &format!("{one}\n\n{two}"),
            &format!("{one}\n{two}\n{one}"),
            &one.repeat(17),
            "0123456789\tabcdef",
        ] {
            check(text, 0o600, Err(SecretError::Malformed));
        }
        assert!(matches!(read_secrets(&folder.path().join("none")), Err(SecretError::Unreadable(_))));
    }
}
