//! Alerts that this service raises about itself, and about devices that it can't understand. They judge the
//! telemetry, not the lift, so they are no rules of the files.

use super::Context;
use super::run::{Phase, RuleNo, Run, Transition};
use super::runs::Runs;
use crate::core::books::{Books, ByHand, Label, Who};
use crate::model::alert::{Certainty, Evidence, Reason, Severity, Title};
use crate::model::ids::RuleId;
use crate::model::row::Effects;

pub struct BuiltIn {
    pub id: &'static str,
    pub severity: Severity,
    en: &'static str,
    zh: &'static str,
    at: At,
}

macro_rules! built_in {
    ($($(#[$doc:meta])* $name:ident = $id:literal $severity:ident $en:literal $zh:literal),+ $(,)?) => {
        $($(#[$doc])* pub const $name: BuiltIn =
            BuiltIn { id: $id, severity: Severity::$severity, en: $en, zh: $zh, at: At::$name };)+
        pub const ALL: &[&BuiltIn] = &[$(&$name),+];

        /// Where it stands in [`ALL`].
        #[derive(Debug, Clone, Copy)]
        #[expect(non_camel_case_types, clippy::upper_case_acronyms, reason = "named as the constants are")]
        enum At { $($name),+ }
    };
}

built_in! {
    /// On the service: we can't hear the devices.
    INGEST_BLIND = "ingest-blind" Critical "The way to the devices is broken: alerts may be missing" "接入中断：可能漏报",
    /// On the service: the store takes nothing.
    STORE_BEHIND = "store-behind" Major "The database takes nothing: history falls behind" "数据库写入停滞：历史数据滞后",
    /// On the service: the journals fill up.
    JOURNAL_FILLING = "journal-filling" Major "The journals fill up: soon reports are no longer taken" "日志空间将满：即将停止接收报告",
    /// On the service: a record made the core fail and was skipped.
    RECORD_SKIPPED = "record-skipped" Critical "A record could not be judged and was skipped" "一条记录无法处理，已跳过",
    /// On the service: messages were dropped before the inbox.
    BROKER_DROPS = "broker-drops" Major "Messages were lost before they reached the inbox" "消息在入库前丢失",
    /// On a device: its clock can't be right.
    CLOCK_WRONG = "clock-wrong" Warning "The terminal's clock is wrong" "终端时钟错误",
    /// On a device: its frames contradict their own order.
    ORDER_BROKEN = "order-broken" Warning "The terminal's frames are out of order" "终端数据帧乱序",
    /// On a device: critical rules can't be judged, because fields that they need were never reported.
    RULE_BLIND = "rule-blind" Warning "Critical rules can't be judged: the terminal never reports what they need" "关键规则无法判定：终端未上报所需字段",
    /// On a device: parts of its frames can't be read, again and again.
    UNREADABLE = "unreadable" Warning "Parts of the terminal's frames can't be read" "终端数据部分无法解析",
    /// On an incident: who was commanded has not answered in time.
    TIER_UNANSWERED = "tier-unanswered" Critical "Nobody has accepted the rescue: command the next tier" "救援指令无人响应：请调度下一级力量",
    /// On an incident: nobody is there in time.
    ARRIVAL_LATE = "arrival-late" Critical "Nobody has arrived at the lift in time" "救援人员未按时到达",
}

impl BuiltIn {
    fn rule_id(&self) -> RuleId {
        RuleId::parse(self.id).expect("built-in ids are well formed, which a test checks")
    }

    fn title(&self) -> Title {
        Title { en: self.en.into(), zh: self.zh.into() }
    }
}

/// The numbers of the built-in alerts, as far as they have one: asked for with every frame of a lift that has any, and
/// found among all names only once. Follows from the names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Numbers([Option<RuleNo>; ALL.len()]);

impl Books {
    pub(in crate::core) fn number_of(&mut self, which: &BuiltIn) -> RuleNo {
        let at = which.at as usize;
        if let Some(number) = self.built_in.0[at] {
            return number;
        }
        let number = self.number(&which.rule_id());
        self.built_in.0[at] = Some(number);
        number
    }
}

/// After a person cleared one it opens again once what it says was over, or after this time: no rule file says so.
pub const REARM_MS: i64 = 10 * 60_000;

/// What an alert is called whose rule is gone.
pub fn title_of_changed() -> Title {
    Title { en: "The rule has changed or is gone".into(), zh: "规则已变更或删除".into() }
}

/// The title of a built-in alert, by its id.
pub fn title_of(id: &RuleId) -> Option<Title> {
    ALL.iter().find(|b| b.id == id.as_str()).map(|b| b.title())
}

/// Opens it, raises its severity, or leaves it as it is. Who and why is only asked for when there is something to say.
pub fn raise(
    cx: &mut Context<'_>,
    who: impl FnOnce() -> Who,
    runs: &mut Runs,
    which: &BuiltIn,
    reason: Reason,
    evidence: impl FnOnce() -> Vec<Evidence>,
) {
    raise_to(cx.books, cx.out, who, runs, which, which.severity, reason, evidence);
}

#[expect(clippy::too_many_arguments, reason = "the service's own alerts have no context to lend")]
pub fn raise_to(
    books: &mut Books,
    out: &mut Effects,
    who: impl FnOnce() -> Who,
    runs: &mut Runs,
    which: &BuiltIn,
    severity: Severity,
    reason: Reason,
    evidence: impl FnOnce() -> Vec<Evidence>,
) {
    let at = books.now.elapsed;
    let run = runs.entry(books.number_of(which));
    let certainty = Certainty::Observed;
    let transition = match &run.phase {
        Phase::Open(open) if open.severity >= severity => return,
        Phase::Open(_) => Transition::Raise { severity, certainty, reason, at },
        _ if run.closed.as_ref().is_some_and(|closed| closed.by_hand && at - closed.at < REARM_MS) => return,
        Phase::Idle | Phase::Holding(_) => Transition::Open { reopens: false, severity, certainty, reason, at },
    };
    let (title, who, evidence) = (which.title(), who(), evidence());
    books.carry_out(
        out,
        &who,
        run,
        &Label { title: &title, dispatch: None, rules: None },
        transition,
        evidence,
        &ByHand::default(),
    );
}

/// Whether there may be anything to clear: asked with every frame, so it looks up no name.
pub fn has_any(runs: &[Run]) -> bool {
    runs.iter().any(|run| run.open().is_some() || run.closed.as_ref().is_some_and(|closed| closed.by_hand))
}

pub fn clear(
    books: &mut Books,
    out: &mut Effects,
    who: impl FnOnce() -> Who,
    runs: &mut [Run],
    which: &BuiltIn,
    reason: Reason,
) {
    if !has_any(runs) {
        return;
    }
    let number = books.number_of(which);
    let Some(run) = runs.iter_mut().find(|run| run.rule == number) else { return };
    if run.open().is_none() {
        run.closed = None;
        return;
    }
    let title = which.title();
    let at = books.now.elapsed;
    let label = Label { title: &title, dispatch: None, rules: None };
    books.carry_out(out, &who(), run, &label, Transition::Clear { reason, at }, Vec::new(), &ByHand::default());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_the_number_of_its_name() {
        let mut books = Books::new(1);
        books.number(&RuleId::parse("another").unwrap());
        for which in ALL.iter().rev().chain(ALL) {
            let number = books.number_of(which);
            assert_eq!(number, books.number(&which.rule_id()), "{}", which.id);
        }
        assert!(ALL.iter().enumerate().all(|(n, which)| which.at as usize == n));
    }

    #[test]
    fn ids_are_well_formed_and_differ() {
        let mut ids: Vec<RuleId> = ALL.iter().map(|b| b.rule_id()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }
}
