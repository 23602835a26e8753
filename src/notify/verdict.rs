//! What becomes of an event after an attempt to tell it. Pure.

use crate::limits;

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The receiver answered, and may have said when to come again.
    Status { code: u16, retry_after_ms: Option<u64> },
    /// It didn't, or nobody could ask.
    None(Failure),
}

/// Why there was no answer. A bounded set: it is counted and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Nobody is there, or the encryption didn't come about.
    Connect,
    /// It took too long.
    TimedOut,
    /// The connection was lost before the answer was whole.
    Lost,
    /// The secret can't be read, so that nothing can be signed.
    Secret,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    GivenUp(&'static str),
    /// Again, but not before so long.
    Again {
        reason: &'static str,
        not_before_ms: u64,
    },
}

/// Too old to be told at all: whoever was away so long asks how things stand instead.
pub const TOO_OLD: &str = "too-old";
/// It can't be sent: larger than any receiver should have to take.
pub const TOO_LARGE: &str = "too-large";
/// It is no longer kept, so that it can't be told.
pub const GONE: &str = "gone";
/// vigil itself fails on it, again and again.
pub const PANICKED: &str = "panicked";
const REFUSED: &str = "refused";

pub fn judge(answer: &Answer) -> Verdict {
    match answer {
        Answer::Status { code: 200..=299, .. } => Verdict::Delivered,
        // The receiver asks to be asked again.
        Answer::Status { code: 408 | 425 | 429, retry_after_ms } => again("busy", *retry_after_ms),
        // Each attempt is signed anew, and whoever put the receiver up may be at it still.
        Answer::Status { code: 401 | 403 | 404 | 407 | 421, retry_after_ms } => again(REFUSED, *retry_after_ms),
        Answer::Status { code: 400..=499, .. } => Verdict::GivenUp(REFUSED),
        // What was signed for one receiver is not taken to another.
        Answer::Status { code: 300..=399, .. } => again("redirected", None),
        Answer::Status { retry_after_ms, .. } => again("failed", *retry_after_ms),
        Answer::None(failure) => again(failure.name(), None),
    }
}

impl Failure {
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "unreachable",
            Self::TimedOut => "timed-out",
            Self::Lost => "lost",
            Self::Secret => "secret",
        }
    }
}

fn again(reason: &'static str, asked_ms: Option<u64>) -> Verdict {
    Verdict::Again { reason, not_before_ms: asked_ms.unwrap_or_default().min(limits::NOTIFY_RETRY_AFTER_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_answer_has_its_verdict() {
        let status = |code| judge(&Answer::Status { code, retry_after_ms: None });
        for code in [200, 201, 204, 299] {
            assert_eq!(status(code), Verdict::Delivered, "{code}");
        }
        for code in [400, 405, 410, 413, 415, 422, 499] {
            assert_eq!(status(code), Verdict::GivenUp("refused"), "{code}");
        }
        for (code, reason) in [
            (408, "busy"),
            (425, "busy"),
            (429, "busy"),
            (401, "refused"),
            (403, "refused"),
            (404, "refused"),
            (407, "refused"),
            (421, "refused"),
            (301, "redirected"),
            (307, "redirected"),
            (500, "failed"),
            (503, "failed"),
            (600, "failed"),
            (101, "failed"),
            (0, "failed"),
        ] {
            assert_eq!(status(code), Verdict::Again { reason, not_before_ms: 0 }, "{code}");
        }
        for failure in [Failure::Connect, Failure::TimedOut, Failure::Lost, Failure::Secret] {
            assert!(matches!(judge(&Answer::None(failure)), Verdict::Again { not_before_ms: 0, .. }));
        }
    }

    #[test]
    fn a_receiver_may_ask_for_some_time_but_not_for_ever() {
        let wait = |ms| match judge(&Answer::Status { code: 503, retry_after_ms: Some(ms) }) {
            Verdict::Again { not_before_ms, .. } => not_before_ms,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait(7_000), 7_000);
        assert_eq!(wait(u64::MAX), limits::NOTIFY_RETRY_AFTER_MS);
    }
}
