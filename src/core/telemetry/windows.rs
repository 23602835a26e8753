//! The last values of extras that rules fold: kept as the highest, the sum and the number of each bucket of time.

use thin_vec::ThinVec;

use crate::core::rules::Fold;
use crate::limits;
use crate::model::time::Elapsed;

#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub(crate) extra: Box<str>,
    pub(crate) span_ms: u32,
    /// Ascending; at most `limits::WINDOW_BUCKETS`, all within the span.
    pub(crate) buckets: ThinVec<Bucket>,
}

/// Of a sixteenth of the span, counted from the beginning of elapsed time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    pub(crate) nth: i64,
    pub(crate) max: f64,
    pub(crate) sum: f64,
    pub(crate) count: u32,
}

const BUCKETS: i64 = limits::WINDOW_BUCKETS as i64;

impl Kept {
    pub(super) fn new(extra: &str, span_ms: u32) -> Self {
        Self { extra: extra.into(), span_ms, buckets: ThinVec::new() }
    }

    fn width_ms(&self) -> i64 {
        // Snapshots are read as they are; no rule has a shorter one.
        (i64::from(self.span_ms) / BUCKETS).max(1)
    }

    fn nth(&self, at: Elapsed) -> i64 {
        at.0.div_euclid(self.width_ms())
    }

    pub(super) fn put(&mut self, value: f64, at: Elapsed) {
        let nth = self.nth(at);
        self.buckets.retain(|bucket| nth - bucket.nth < BUCKETS);
        match self.buckets.last_mut().filter(|last| last.nth >= nth) {
            Some(last) => {
                last.max = last.max.max(value);
                last.sum += value;
                last.count = last.count.saturating_add(1);
            }
            None => self.buckets.push(Bucket { nth, max: value, sum: value, count: 1 }),
        }
    }

    /// `None`: no value lies in it.
    pub(super) fn fold(&self, fold: Fold, at: Elapsed) -> Option<f64> {
        let nth = self.nth(at);
        let mut within = self.buckets.iter().filter(|bucket| nth - bucket.nth < BUCKETS);
        let first = *within.next()?;
        Some(match fold {
            Fold::Max => within.fold(first.max, |max, bucket| max.max(bucket.max)),
            Fold::Average => {
                let add = |(sum, count), bucket: &Bucket| (sum + bucket.sum, count + u64::from(bucket.count));
                let (sum, count) = within.fold((first.sum, u64::from(first.count)), add);
                sum / count.max(1) as f64
            }
        })
    }

    /// The next moment at which a bucket leaves it.
    pub(super) fn next_change(&self, after: Elapsed) -> Option<Elapsed> {
        let leaves = |bucket: &Bucket| Elapsed((bucket.nth + BUCKETS).saturating_mul(self.width_ms()));
        self.buckets.iter().map(leaves).find(|at| *at > after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_leave_by_sixteenths_of_the_span() {
        let mut kept = Kept::new("x", 160_000);
        let at = |s: i64| Elapsed(s * 1_000);
        assert_eq!((kept.fold(Fold::Max, at(0)), kept.next_change(at(0))), (None, None));
        for (s, value) in [(5, 3.0), (9, 5.0), (31, 1.0)] {
            kept.put(value, at(s));
        }
        assert_eq!((kept.fold(Fold::Max, at(31)), kept.fold(Fold::Average, at(31))), (Some(5.0), Some(3.0)));
        assert_eq!(kept.next_change(at(31)), Some(at(160)));
        assert_eq!(kept.fold(Fold::Max, Elapsed(159_999)), Some(5.0));
        assert_eq!((kept.fold(Fold::Max, at(160)), kept.fold(Fold::Average, at(160))), (Some(1.0), Some(1.0)));
        assert_eq!(kept.next_change(at(160)), Some(at(190)));
        assert_eq!((kept.fold(Fold::Max, at(190)), kept.next_change(at(190))), (None, None));
        (0..1_000).for_each(|s| kept.put(1.0, at(200 + s)));
        assert_eq!(kept.buckets.len(), limits::WINDOW_BUCKETS as usize);
    }
}
