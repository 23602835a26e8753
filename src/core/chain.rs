//! The hash chain of a device's records of maintenance: what bytes a record is, and how each is linked to the one before.
//!
//! `docs/records.md` says the same in words, so that somebody else can check a chain. What is written here never
//! changes: another form gets another [`VERSION`].

use sha2::{Digest as _, Sha256};

use crate::model::report::Report;
use crate::model::time::Wall;
use crate::model::visit::{
    ChainLink, Digest, ItemDone, Person, Photo, Salt, Sign, SignatureRow, Visit, VisitFlag, VisitRow,
};

/// The form of what is hashed.
pub const VERSION: u8 = 1;

/// What stands before the first link.
pub const START: Digest = Digest([0; 32]);

/// Bytes by which no two values that differ are the same: texts, lists and optional values say how long they are.
#[derive(Debug, Default)]
pub struct Canonical(Vec<u8>);

impl Canonical {
    /// `what` tells sorts of bytes from each other.
    fn begin(what: &str) -> Self {
        // As much as most records come to.
        let mut bytes = Self(Vec::with_capacity(2_048));
        bytes.0.push(VERSION);
        bytes.text(what);
        bytes
    }

    fn count(&mut self, count: usize) {
        let count = u32::try_from(count).expect("lists and texts are bounded far below 2^32");
        self.0.extend_from_slice(&count.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    fn number(&mut self, number: i64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn place(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_be_bytes());
    }

    fn digest(&mut self, digest: &Digest) {
        self.0.extend_from_slice(&digest.0);
    }

    fn some<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.0.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn some_text(&mut self, text: Option<&str>) {
        self.some(text, Self::text);
    }

    fn list<T>(&mut self, list: &[T], write: impl Fn(&mut Self, &T)) {
        self.count(list.len());
        list.iter().for_each(|it| write(self, it));
    }

    fn hash(&self) -> Digest {
        Digest(Sha256::digest(&self.0).into())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// All of a record but its people.
    fn visit(&mut self, it: &Visit) {
        self.text(it.firm.as_str());
        self.text(it.record.as_str());
        self.text(it.device.as_str());
        self.text(it.kind.name());
        self.list(&it.workers, |w, id| w.text(id.as_str()));
        self.text(it.recorder.as_str());
        self.number(it.started_at.ms());
        self.number(it.ended_at.ms());
        self.list(&it.items, Self::item);
        self.text(it.problem.name());
        self.some_text(it.note.as_deref());
        self.list(&it.photos, Self::photo);
        self.some(it.next_on, |w, day| w.number(i64::from(day.0)));
        self.some_text(it.supersedes.as_ref().map(|id| id.as_str()));
        self.list(&it.rectifies, |w, id| w.text(id.as_str()));
    }

    fn item(&mut self, it: &ItemDone) {
        self.text(&it.item);
        self.text(it.result.name());
        self.some_text(it.note.as_deref());
    }

    fn photo(&mut self, it: &Photo) {
        self.digest(&it.digest);
        self.text(&it.media);
        self.number(i64::from(it.bytes));
        self.some(it.taken_at, |w, at| w.number(at.ms()));
        self.some_text(it.item.as_deref());
    }

    fn people(&mut self, people: &[Person]) {
        self.list(people, |w, it| {
            w.text(&it.duty);
            w.text(&it.name);
            w.some_text(it.phone.as_deref());
        });
    }
}

/// What a record says, people included: the same again is the same upload. Never kept but in part, as it has no salt.
pub fn content_of_report(report: &Report) -> Digest {
    let mut w = Canonical::begin("report");
    w.text(&report.party.to_string());
    w.text(report.id.as_str());
    w.text(report.device.as_str());
    w.text(report.kind.name());
    w.number(i64::from(report.done_on.0));
    w.number(i64::from(report.passed));
    w.list(&report.findings, |w, it| w.text(it));
    w.some_text(report.supersedes.as_ref().map(|id| id.as_str()));
    w.hash()
}

pub fn content(visit: &Visit) -> Digest {
    let mut bytes = Canonical::begin("content");
    bytes.visit(visit);
    bytes.people(&visit.people);
    bytes.hash()
}

/// Of the people of a record. Zeros where nobody is named.
pub fn people(people: &[Person], salt: &Salt) -> Digest {
    if people.is_empty() {
        return Digest::default();
    }
    let mut bytes = Canonical::begin("people");
    bytes.0.extend_from_slice(salt);
    bytes.people(people);
    bytes.hash()
}

/// What the link of a record is made of.
pub fn visit_bytes(
    before: &Digest,
    number: u64,
    recorded_at: Wall,
    flags: &[VisitFlag],
    people: &Digest,
    visit: &Visit,
) -> Canonical {
    let mut bytes = Canonical::begin("visit");
    bytes.digest(before);
    bytes.place(number);
    bytes.number(recorded_at.ms());
    bytes.list(flags, |w, flag| w.text(flag.name()));
    bytes.digest(people);
    bytes.visit(visit);
    bytes
}

/// What the link of a signature is made of.
pub fn signature_bytes(before: &Digest, number: u64, visit_number: u64, signed_at: Wall, sign: &Sign) -> Canonical {
    let mut bytes = Canonical::begin("signature");
    bytes.digest(before);
    bytes.place(number);
    bytes.number(signed_at.ms());
    bytes.text(sign.device.as_str());
    bytes.text(sign.firm.as_str());
    bytes.text(sign.record.as_str());
    bytes.place(visit_number);
    bytes.text(&sign.signatory);
    bytes.some_text(sign.note.as_deref());
    bytes
}

/// The link that a row must have behind `before`.
pub fn link(before: &Digest, row: &ChainLink) -> Digest {
    match row {
        ChainLink::Visit(row) => link_of_visit(before, row),
        ChainLink::Signature(row) => link_of_signature(before, row),
    }
}

pub fn link_of_visit(before: &Digest, row: &VisitRow) -> Digest {
    visit_bytes(before, row.number, row.recorded_at, &row.flags, &row.people_digest, &row.visit).hash()
}

pub fn link_of_signature(before: &Digest, row: &SignatureRow) -> Digest {
    signature_bytes(before, row.number, row.visit_number, row.signed_at, &row.sign).hash()
}

/// How far a chain has been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followed {
    /// Links, all of them whole.
    pub links: u64,
    pub head: Digest,
}

impl Default for Followed {
    fn default() -> Self {
        Self { links: 0, head: START }
    }
}

/// Where a chain is broken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    #[error("number {want} is missing: the next one is number {got}")]
    Missing { want: u64, got: u64 },
    #[error("number {number} is there twice")]
    Twice { number: u64 },
    #[error("number {number} is not what was recorded: it, or one before it, was changed, put in or moved")]
    Changed { number: u64 },
    #[error("the people of number {number} are not those that were recorded")]
    People { number: u64 },
    #[error("it ends with number {got}, and the service has recorded up to number {want}")]
    CutOff { want: u64, got: u64 },
    #[error("number {number} is whole, but it is not what the service recorded there")]
    Replaced { number: u64 },
}

impl Followed {
    /// Takes the next row, in the order of the numbers.
    pub fn take(&mut self, row: &ChainLink) -> Result<(), Broken> {
        let (want, got) = (self.links + 1, row.number());
        if got < want {
            return Err(Broken::Twice { number: got });
        }
        if got > want {
            return Err(Broken::Missing { want, got });
        }
        if link(&self.head, row) != row.link() {
            return Err(Broken::Changed { number: got });
        }
        if let ChainLink::Visit(row) = row
            && row.salt.is_some_and(|salt| people(&row.visit.people, &salt) != row.people_digest)
        {
            return Err(Broken::People { number: got });
        }
        *self = Self { links: got, head: row.link() };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::arbitrary::visit as arbitrary;

    fn chain(mut rows: Vec<VisitRow>) -> Vec<ChainLink> {
        let mut head = START;
        for (number, row) in (1..).zip(&mut rows) {
            row.number = number;
            row.people_digest = row.salt.map_or(row.people_digest, |salt| people(&row.visit.people, &salt));
            row.link = link_of_visit(&head, row);
            head = row.link;
        }
        rows.into_iter().map(|row| ChainLink::Visit(Box::new(row))).collect()
    }

    fn follow(rows: &[ChainLink]) -> Result<Followed, Broken> {
        let mut followed = Followed::default();
        rows.iter().try_for_each(|row| followed.take(row))?;
        Ok(followed)
    }

    proptest! {
        #[test]
        fn a_chain_is_followed_to_its_end_and_no_part_of_it_may_change(
            rows in prop::collection::vec(arbitrary::visit_row(), 3),
            other in arbitrary::visit_row(),
            at in 0..3_usize,
        ) {
            let whole = chain(rows);
            let end = follow(&whole).unwrap();
            prop_assert_eq!((end.links, end.head), (3, whole[2].link()));

            let number = at as u64 + 1;
            let mut changed = whole.clone();
            let ChainLink::Visit(row) = &mut changed[at] else { unreachable!() };
            row.visit = Visit { people: row.visit.people.clone(), ..other.visit.clone() };
            prop_assert_eq!(follow(&changed), Err(Broken::Changed { number }));

            let mut deleted = whole.clone();
            deleted.remove(at);
            let found = follow(&deleted).map(|followed| followed.links);
            let expected = if at == 2 { Ok(2) } else { Err(Broken::Missing { want: number, got: number + 1 }) };
            prop_assert_eq!(found, expected);

            let mut twice = whole.clone();
            twice.insert(at, whole[at].clone());
            prop_assert_eq!(follow(&twice), Err(Broken::Twice { number }));
        }

        #[test]
        fn what_differs_has_other_bytes(one in arbitrary::visit(), other in arbitrary::visit()) {
            let bytes = |visit: &Visit| visit_bytes(&START, 1, Wall(0), &[], &START, visit).bytes().to_vec();
            let (one, other) = (Visit { people: Vec::new(), ..one }, Visit { people: Vec::new(), ..other });
            prop_assert_eq!(bytes(&one) == bytes(&other), one == other);
        }
    }

    #[test]
    fn who_guesses_a_phone_number_must_know_the_salt() {
        let person =
            |phone: &str| Person { duty: "responsible".into(), name: "某人".into(), phone: Some(phone.into()) };
        let of = |phone: &str, salt: u8| people(&[person(phone)], &[salt; 16]);
        assert_ne!(of("139", 1), of("139", 2));
        assert_ne!(of("139", 1), of("138", 1));
        assert_eq!(of("139", 1), of("139", 1));
        assert!(people(&[], &[1; 16]).is_zero());
    }

    #[test]
    fn texts_do_not_run_into_each_other() {
        let bytes = |parts: &[&str]| {
            let mut bytes = Canonical::default();
            parts.iter().for_each(|part| bytes.text(part));
            bytes.0
        };
        assert_ne!(bytes(&["ab", "c"]), bytes(&["a", "bc"]));
        assert_ne!(bytes(&["", "x"]), bytes(&["x", ""]));
    }
}
