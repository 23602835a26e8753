//! Codes that can't be built wrong. They are stored inline: copying one allocates nothing.

use std::fmt;
use std::sync::Arc;

use super::incident::IncidentId;

/// Why a text is not a code of the wanted form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {got:?} does not fit: {want}")]
pub struct CodeError {
    pub what: &'static str,
    pub got: String,
    pub want: &'static str,
}

macro_rules! code {
    ($(#[$doc:meta])* $name:ident, $what:literal, $min:literal..=$max:literal, $allowed:pat, $want:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            // Padded with zeros, so that the derived order is that of the texts.
            bytes: [u8; $max],
            len: u8,
        }

        impl $name {
            /// The form in words, for error messages.
            pub const FORM: &'static str = $want;

            /// Takes a text of the right form and nothing else.
            pub fn parse(text: &str) -> Result<Self, CodeError> {
                let len = text.len();
                if !($min..=$max).contains(&len) || !text.bytes().all(|b| matches!(b, $allowed)) {
                    let got = text.chars().take(64).collect();
                    return Err(CodeError { what: $what, got, want: $want });
                }
                let mut bytes = [0; $max];
                bytes[..len].copy_from_slice(text.as_bytes());
                Ok(Self { bytes, len: len as u8 })
            }

            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.bytes[..usize::from(self.len)]).expect("only ASCII was let in")
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = CodeError;
            fn from_str(text: &str) -> Result<Self, CodeError> {
                Self::parse(text)
            }
        }
    };
}

code!(
    /// Special-equipment code (设备代码) or registration code (注册代码) of a lift or escalator.
    DeviceCode, "device code", 17..=20, b'0'..=b'9' | b'A'..=b'Z', "17 to 20 characters of 0-9 A-Z"
);
code!(
    /// A filling station, shop, inspection body: a place where cylinders are scanned.
    SiteCode, "site code", 4..=32, b'0'..=b'9' | b'A'..=b'Z' | b'-', "4 to 32 characters of 0-9 A-Z -"
);
code!(
    /// The code on a gas cylinder.
    CylinderCode, "cylinder code", 8..=32, b'0'..=b'9' | b'A'..=b'Z' | b'-', "8 to 32 characters of 0-9 A-Z -"
);
code!(
    /// Administrative division (GB/T 2260); a prefix is the parent: 64 Ningxia, 6401 Yinchuan, 640104 a district of it.
    District, "district", 2..=6, b'0'..=b'9', "2 to 6 digits"
);
code!(
    /// A maintenance firm's id in the archive.
    FirmId, "firm id", 1..=32, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_', "1 to 32 characters of 0-9 A-Z a-z - _"
);

code!(
    /// A worker's id in the archive.
    WorkerId, "worker id", 1..=32, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_', "1 to 32 characters of 0-9 A-Z a-z - _"
);
code!(
    /// What a device is by the catalogue of special equipment: 3110 traction passenger lift, 3310 escalator.
    Catalogue, "catalogue number", 4..=4, b'0'..=b'9', "4 digits"
);

code!(
    /// A building or a feeder, by the name that whoever keeps the archive gives it.
    PlaceId, "building or feeder", 1..=32, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.',
    "1 to 32 characters of 0-9 A-Z a-z - _ ."
);

code!(
    /// What a firm or inspection body calls one of its own records.
    RecordId, "record id", 1..=64, b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'_' | b'.' | b':',
    "1 to 64 characters of 0-9 A-Z a-z - _ . :"
);

impl District {
    /// Whether `self` is `other` or lies within it.
    pub fn is_within(&self, other: &District) -> bool {
        self.as_str().starts_with(other.as_str())
    }
}

/// The id of a rule, as its file names it: lower-case words joined by hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(Arc<str>);

impl RuleId {
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let word = |w: &str| !w.is_empty() && w.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9'));
        if text.len() > 64 || !text.split('-').all(word) {
            let got = text.chars().take(80).collect();
            return Err(CodeError {
                what: "rule id",
                got,
                want: "at most 64 characters: words of a-z 0-9 joined by hyphens",
            });
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A lift or escalator.
    Device(DeviceCode),
    Cylinder(CylinderCode),
    /// This service itself.
    Service,
    /// A rescue: what goes wrong with it.
    Incident(IncidentId),
}

impl Subject {
    /// The name the service goes by where a device code would stand.
    pub const SERVICE: &'static str = "vigil";

    pub fn parse(text: &str) -> Result<Self, CodeError> {
        if text == Self::SERVICE {
            return Ok(Self::Service);
        }
        // A code of 17 to 20 letters and digits may be either; the alert id says which by its prefix.
        if let Some(code) = text.strip_prefix("cylinder:") {
            return CylinderCode::parse(code).map(Self::Cylinder);
        }
        if let Some(id) = text.strip_prefix("incident:") {
            return IncidentId::parse(id).map(Self::Incident);
        }
        DeviceCode::parse(text).map(Self::Device)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(code) => write!(f, "{code}"),
            Self::Cylinder(code) => write!(f, "cylinder:{code}"),
            Self::Service => f.write_str(Self::SERVICE),
            Self::Incident(id) => write!(f, "incident:{id}"),
        }
    }
}

/// An alert's identity: its subject, its rule, and the how-many-th opening of that rule for that subject it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertId {
    pub subject: Subject,
    pub rule: RuleId,
    /// From 1.
    pub opening: u32,
}

impl AlertId {
    /// Reads what `Display` writes: `31305001122014017242/trapped-reported/3`.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let wrong = || CodeError {
            what: "alert id",
            got: text.chars().take(120).collect(),
            want: "SUBJECT/RULE/NUMBER, for example 31305001122014017242/trapped-reported/1",
        };
        let mut parts = text.split('/');
        let (Some(subject), Some(rule), Some(opening), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        let opening = opening.parse().ok().filter(|n| *n > 0).ok_or_else(wrong)?;
        Ok(Self { subject: Subject::parse(subject)?, rule: RuleId::parse(rule)?, opening })
    }
}

impl fmt::Display for AlertId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.subject, self.rule, self.opening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_take_their_form_and_nothing_else() {
        assert_eq!(DeviceCode::parse("31305001122014017242").unwrap().as_str(), "31305001122014017242");
        for bad in ["", "3130500112201401", "313050011220140172421", "3130500112201401724a", "3130500112201401724\0"] {
            assert!(DeviceCode::parse(bad).is_err(), "{bad:?}");
        }
        assert!(SiteCode::parse("6401-A").is_ok());
        assert!(SiteCode::parse("ab").is_err());
        assert!(District::parse("640104").unwrap().is_within(&District::parse("6401").unwrap()));
        assert!(!District::parse("6401").unwrap().is_within(&District::parse("640104").unwrap()));
    }

    #[test]
    fn order_of_codes_is_the_order_of_their_texts() {
        let mut codes = ["31305001122014017242", "3130500112201401724", "31305001122014017241", "3130500112201401A"];
        let mut parsed = codes.map(|c| DeviceCode::parse(c).unwrap());
        codes.sort_unstable();
        parsed.sort_unstable();
        assert_eq!(parsed.map(|c| c.to_string()), codes.map(str::to_owned));
    }

    #[test]
    fn alert_ids_read_back_what_they_write() {
        for text in [
            "31305001122014017242/trapped-reported/1",
            "cylinder:12345678/cylinder-overdue/7",
            "vigil/ingest-blind/2",
            "incident:1-42/tier-unanswered/2",
        ] {
            assert_eq!(AlertId::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "vigil", "vigil/x", "vigil/x/0", "vigil/x/1/2", "vigil/X/1", "short/x/1"] {
            assert!(AlertId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
