//! Page tokens: where the next page begins, opaque to clients.
//!
//! The checksum finds what was cut or altered by mistake. It needs no key: whoever forges a token only chooses another
//! place to begin in what they may see anyway.

use crate::limits;

/// Ties tokens to the question they continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Question(u32);

impl Question {
    pub fn of(question: &impl std::fmt::Debug) -> Self {
        Self(crc32c::crc32c(format!("{question:?}").as_bytes()))
    }

    pub fn token(self, parts: &[&str]) -> String {
        let text = parts.join("\n");
        let sum = crc32c::crc32c_append(self.0, text.as_bytes());
        sum.to_be_bytes().iter().chain(text.as_bytes()).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The parts of a token made by the same question.
    pub fn parts<const N: usize>(self, token: &str) -> Result<[String; N], &'static str> {
        const BAD: &str = "is not a token of this call with the same other fields: leave it empty to begin again";
        let bytes = bytes(token).ok_or(BAD)?;
        let (sum, text) = bytes.split_first_chunk().ok_or(BAD)?;
        if u32::from_be_bytes(*sum) != crc32c::crc32c_append(self.0, text) {
            return Err(BAD);
        }
        let text = std::str::from_utf8(text).map_err(|_| BAD)?;
        let parts: Vec<String> = text.split('\n').map(str::to_owned).collect();
        parts.try_into().map_err(|_| BAD)
    }
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if hex.len() > limits::PAGE_TOKEN_CHARS
        || !hex.len().is_multiple_of(2)
        || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    {
        return None;
    }
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_for_its_question_only() {
        let question = Question::of(&("6401", 3));
        let token = question.token(&["1", "é/2"]);
        assert_eq!(question.parts(&token), Ok(["1".to_owned(), "é/2".to_owned()]));
        assert!(question.parts::<1>(&token).is_err());
        assert!(Question::of(&("6402", 3)).parts::<2>(&token).is_err());
        for i in 0..token.len() {
            let mut altered = token.clone().into_bytes();
            altered[i] = if altered[i] == b'0' { b'1' } else { b'0' };
            assert!(question.parts::<2>(std::str::from_utf8(&altered).unwrap()).is_err(), "digit {i}");
            assert!(question.parts::<2>(&token[..i]).is_err(), "cut at {i}");
        }
        assert!(question.parts::<2>("+1+1+1+1+1").is_err());
    }
}
