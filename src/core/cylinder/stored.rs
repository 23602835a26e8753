//! How a cylinder stands by the scans that the store has of it, for when the journals were lost. In whatever order they come.

use crate::model::fill::{Against, Stored};
use crate::model::ids::{CylinderCode, SiteCode};
use crate::model::row::{ScanFlag, ScanRow, TimeSource};
use crate::model::scan::ScanEvent;
use crate::model::time::Wall;

/// Scans that say how a cylinder stands beside its round from station to customer.
pub const TELLING: [ScanEvent; 7] = [
    ScanEvent::Registered,
    ScanEvent::Returned,
    ScanEvent::SentForInspection,
    ScanEvent::Inspected,
    ScanEvent::Disabled,
    ScanEvent::Lost,
    ScanEvent::Scrapped,
];

/// When each was last said by somebody who may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Told {
    disabled_at: Option<Wall>,
    lost_at: Option<Wall>,
    returned_at: Option<Wall>,
    sent_at: Option<Wall>,
    /// And until when it is good.
    inspected_at: Option<(Wall, Option<Wall>)>,
    is_scrapped: bool,
    duplicate_at: Option<Wall>,
}

impl Told {
    /// `unit`: the cylinder's own filling unit.
    pub fn note(&mut self, row: &ScanRow, unit: Option<SiteCode>) {
        let (at, is_own) = (row.effective_at, unit == Some(row.site));
        let may = |flag| !row.flags.contains(&flag);
        // What speaks for a fill counts only at a moment that is known.
        let is_known = row.time_source != TimeSource::Wrong;
        match row.scan.event {
            ScanEvent::Disabled if may(ScanFlag::ForeignSite) => raise(&mut self.disabled_at, at),
            ScanEvent::Lost if may(ScanFlag::ForeignSite) => raise(&mut self.lost_at, at),
            ScanEvent::SentForInspection if may(ScanFlag::ForeignSite) => raise(&mut self.sent_at, at),
            ScanEvent::Scrapped if may(ScanFlag::ForeignSite) => self.is_scrapped = true,
            ScanEvent::Registered if !may(ScanFlag::DuplicateCode) => raise(&mut self.duplicate_at, at),
            ScanEvent::Returned if is_own && is_known => raise(&mut self.returned_at, at),
            ScanEvent::Inspected if may(ScanFlag::NotAnInspectionBody) && is_known && row.scan.passed == Some(true) => {
                self.inspected_at = self.inspected_at.max(Some((at, row.scan.valid_until)));
            }
            _ => {}
        }
    }

    /// Takes over what was said under a code that the cylinder bore before. Whether that changed anything.
    pub fn merge(&mut self, before: &Self) -> bool {
        let merged = Self {
            disabled_at: self.disabled_at.max(before.disabled_at),
            lost_at: self.lost_at.max(before.lost_at),
            returned_at: self.returned_at.max(before.returned_at),
            sent_at: self.sent_at.max(before.sent_at),
            inspected_at: self.inspected_at.max(before.inspected_at),
            is_scrapped: self.is_scrapped || before.is_scrapped,
            duplicate_at: self.duplicate_at,
        };
        std::mem::replace(self, merged) != merged
    }

    /// When its code was last registered with other fixed data: whoever changes the archive afterwards has looked.
    pub fn duplicate_at(&self) -> Option<Wall> {
        self.duplicate_at
    }

    pub fn forget_duplicate(&mut self) {
        self.duplicate_at = None;
    }

    /// `None`: nothing that the archive doesn't say.
    pub fn stored(&self, cylinder: CylinderCode) -> Option<Stored> {
        let inspected_at = self.inspected_at.map(|(at, _)| at);
        // In doubt it stands: of two in the same ms nobody knows which came first.
        let stands = |said: Option<Wall>, over: Option<Wall>| said.is_some() && said >= over;
        let all = [
            (Against::Disabled, stands(self.disabled_at, self.returned_at)),
            (Against::Lost, stands(self.lost_at, self.returned_at)),
            (Against::AtInspection, stands(self.sent_at, inspected_at)),
            (Against::Scrapped, self.is_scrapped),
            (Against::Duplicate, self.duplicate_at.is_some()),
        ];
        let against: Vec<Against> = all.into_iter().filter_map(|(it, is)| is.then_some(it)).collect();
        let valid_until = self.inspected_at.and_then(|(_, until)| until);
        let says_something = !against.is_empty() || inspected_at.is_some();
        says_something.then_some(Stored { cylinder, against, inspected_at, valid_until })
    }
}

fn raise(last: &mut Option<Wall>, at: Wall) {
    *last = (*last).max(Some(at));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::frame::FrameKey;
    use crate::model::row::Order;
    use crate::model::scan::Scan;

    fn site(code: &str) -> SiteCode {
        SiteCode::parse(code).unwrap()
    }

    /// `event flag` at a moment: `returned`, `returned foreign`, `inspected no-body`, `inspected failed`, `registered twice`.
    fn row(at: i64, what: &str) -> ScanRow {
        let mut words = what.split(' ');
        let event = ScanEvent::from_name(words.next().unwrap()).unwrap();
        let odd = words.next().unwrap_or_default();
        let flags = match odd {
            "foreign" => vec![ScanFlag::ForeignSite],
            "no-body" => vec![ScanFlag::NotAnInspectionBody],
            "twice" => vec![ScanFlag::DuplicateCode],
            _ => Vec::new(),
        };
        let scan = Scan {
            scanner: "GUN-1".into(),
            key: FrameKey { boot: 1, seq: 1 },
            claimed_at: None,
            cylinder: CylinderCode::parse("CYL00001").unwrap(),
            event,
            operator: None,
            counterparty: None,
            medium: None,
            tare_g: None,
            gross_g: None,
            net_g: None,
            pressure_kpa: None,
            passed: Some(odd != "failed"),
            findings: Vec::new(),
            latitude_e7: None,
            longitude_e7: None,
            request: None,
            valid_until: None,
            invalid: Vec::new(),
        };
        ScanRow {
            site: site(if odd == "foreign" { "FILL-02" } else { "FILL-01" }),
            generation: 0,
            scan,
            received_at: Wall(at),
            effective_at: Wall(at),
            time_source: if odd == "wrong" { TimeSource::Wrong } else { TimeSource::Claimed },
            order: Order::Newer,
            flags,
            verdict: None,
        }
    }

    /// In their order and the other way round, and cut in two that are joined: what stands is the same.
    #[test]
    fn what_was_said_last_by_somebody_who_may_stands() {
        use Against::{AtInspection, Disabled, Duplicate, Lost, Scrapped};
        let checks: [(&[&str], &[Against]); 12] = [
            (&["disabled", "stocked_in"], &[Disabled]),
            (&["disabled", "returned"], &[]),
            (&["returned", "disabled", "lost"], &[Disabled, Lost]),
            (&["lost", "returned foreign"], &[Lost]),
            (&["lost", "returned wrong"], &[Lost]),
            (&["disabled foreign", "lost foreign", "sent_for_inspection foreign"], &[]),
            (&["sent_for_inspection", "returned"], &[AtInspection]),
            (&["sent_for_inspection", "inspected"], &[]),
            (&["sent_for_inspection", "inspected failed", "inspected no-body"], &[AtInspection]),
            (&["inspected", "sent_for_inspection"], &[AtInspection]),
            (&["scrapped", "returned"], &[Scrapped]),
            (&["registered twice", "registered"], &[Duplicate]),
        ];
        for (scans, against) in checks {
            let rows: Vec<ScanRow> = (1..).zip(scans).map(|(at, what)| row(at, what)).collect();
            let told = |rows: &mut dyn Iterator<Item = &ScanRow>| {
                let mut told = Told::default();
                rows.for_each(|row| told.note(row, Some(site("FILL-01"))));
                told
            };
            let forth = told(&mut rows.iter());
            assert_eq!(forth, told(&mut rows.iter().rev()), "{scans:?}");
            let stored = forth.stored(rows[0].scan.cylinder);
            assert_eq!(stored.map(|it| it.against).unwrap_or_default(), against, "{scans:?}");
            if !against.contains(&Duplicate) {
                let mut halves = told(&mut rows[1..].iter());
                halves.merge(&told(&mut rows[..1].iter()));
                assert_eq!(halves, forth, "{scans:?}");
            }
        }
    }
}
