//! The links of a device's chain, put together as docs/records.md says for whoever checks one, and not as the core does it.

use sha2::{Digest as _, Sha256};
use vigil::model::visit::{Digest, SignatureRow, VisitRow};

/// The only form there is.
const FORM: u8 = 1;

#[derive(Default)]
struct Bytes(Vec<u8>);

impl Bytes {
    fn of(sort: &str) -> Self {
        Self(vec![FORM]).text(sort)
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.raw(&(text.len() as u32).to_be_bytes()).raw(text.as_bytes())
    }

    fn number(self, number: i64) -> Self {
        self.raw(&number.to_be_bytes())
    }

    fn optional<T>(self, value: Option<T>, write: impl Fn(Self, T) -> Self) -> Self {
        match value {
            None => self.raw(&[0]),
            Some(value) => write(self.raw(&[1]), value),
        }
    }

    fn optional_text(self, text: Option<&str>) -> Self {
        self.optional(text, Self::text)
    }

    fn list<T>(self, list: &[T], write: impl Fn(Self, &T) -> Self) -> Self {
        list.iter().fold(self.raw(&(list.len() as u32).to_be_bytes()), write)
    }

    fn digest(self) -> Digest {
        Digest(Sha256::digest(&self.0).into())
    }
}

pub(crate) fn visit(before: &Digest, row: &VisitRow) -> Digest {
    let it = &row.visit;
    Bytes::of("visit")
        .raw(&before.0)
        .raw(&row.number.to_be_bytes())
        .number(row.recorded_at.0)
        .list(&row.flags, |w, flag| w.text(flag.name()))
        .raw(&row.people_digest.0)
        .text(it.firm.as_str())
        .text(it.record.as_str())
        .text(it.device.as_str())
        .text(it.kind.name())
        .list(&it.workers, |w, id| w.text(id.as_str()))
        .text(it.recorder.as_str())
        .number(it.started_at.0)
        .number(it.ended_at.0)
        .list(&it.items, |w, item| w.text(&item.item).text(item.result.name()).optional_text(item.note.as_deref()))
        .text(it.problem.name())
        .optional_text(it.note.as_deref())
        .list(&it.photos, |w, photo| {
            w.raw(&photo.digest.0)
                .text(&photo.media)
                .number(i64::from(photo.bytes))
                .optional(photo.taken_at, |w, at| w.number(at.0))
                .optional_text(photo.item.as_deref())
        })
        .optional(it.next_on, |w, day| w.number(i64::from(day.0)))
        .optional_text(it.supersedes.as_ref().map(|id| id.as_str()))
        .list(&it.rectifies, |w, id| w.text(id.as_str()))
        .digest()
}

pub(crate) fn signature(before: &Digest, row: &SignatureRow) -> Digest {
    Bytes::of("signature")
        .raw(&before.0)
        .raw(&row.number.to_be_bytes())
        .number(row.signed_at.0)
        .text(row.sign.device.as_str())
        .text(row.sign.firm.as_str())
        .text(row.sign.record.as_str())
        .raw(&row.visit_number.to_be_bytes())
        .text(&row.sign.signatory)
        .optional_text(row.sign.note.as_deref())
        .digest()
}

/// Zeros where nobody is named.
pub(crate) fn people(row: &VisitRow) -> Digest {
    let Some(salt) = row.salt else { return Digest::default() };
    Bytes::of("people")
        .raw(&salt)
        .list(&row.visit.people, |w, it| w.text(&it.duty).text(&it.name).optional_text(it.phone.as_deref()))
        .digest()
}
