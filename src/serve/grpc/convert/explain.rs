//! Explanations.

use super::timestamp;
use crate::core::explain::{
    BuiltInAlert, Clause, Clears, Explained, Explanation, OpenAlert, Reading, Standing, Unknown, WhyNot,
};
use crate::core::judge::run::Footing;
use crate::core::rules::Tri;
use crate::model::alert::Title;
use crate::proto::v1;
use crate::serve::grpc::explain::Basis;

pub(in super::super) fn explanation(explanation: &Explanation, basis: Basis) -> v1::ExplainResponse {
    // Counted from the first of these frames, the numbers of alerts mean nothing.
    let numbered = basis.position.is_some();
    let kind = if numbered { v1::ExplainBasis::Inbox } else { v1::ExplainBasis::StoredFrames };
    v1::ExplainResponse {
        device: explanation.device.to_string(),
        at: Some(timestamp(explanation.at)),
        basis: kind.into(),
        basis_from: basis.from.map(timestamp),
        basis_to: basis.to.map(timestamp),
        basis_count: basis.count,
        position: basis.position,
        policy_version: explanation.policy,
        registered: explanation.registered,
        footing: footing(explanation.footing).into(),
        heard_ago_ms: explanation.heard_ago_ms,
        keep_alive_ms: explanation.keep_alive_ms,
        silent: explanation.is_silent,
        rules: explanation.rules.iter().map(|explained| rule(explained, numbered)).collect(),
        other_alerts: explanation.built_in.iter().map(|alert| built_in(alert, numbered)).collect(),
        caveats: basis.caveats,
    }
}

fn footing(footing: Footing) -> v1::Footing {
    match footing {
        Footing::Sound => v1::Footing::Sound,
        Footing::CatchingUp => v1::Footing::CatchingUp,
        Footing::Blind => v1::Footing::Blind,
    }
}

fn rule(it: &Explained, numbered: bool) -> v1::ExplainedRule {
    use v1::explained_rule::Phase;
    let (phase, held) = match &it.standing {
        Standing::Idle => (Phase::Idle, None),
        Standing::Holding { since, held_ms, .. } => (Phase::Holding, Some((since, held_ms))),
        Standing::Open(_) => (Phase::Open, None),
    };
    v1::ExplainedRule {
        rule: it.rule.to_string(),
        title: Some(title(&it.title)),
        on: it.family.name().to_owned(),
        when: Some(condition(&it.when)),
        suppress: it.suppress.as_ref().map(condition),
        unless: it.unless.iter().map(|(rule, open)| v1::StrongerRule { rule: rule.to_string(), open: *open }).collect(),
        severity: it.severity.number(),
        certainty: it.certainty.number(),
        phase: phase.into(),
        held_since: held.map(|(since, _)| timestamp(*since)),
        held_ms: held.map_or(0, |(_, held_ms)| *held_ms),
        for_ms: it.for_ms,
        why_not: it.why_not.iter().map(why_not).collect(),
        alert: match &it.standing {
            Standing::Open(open) => Some(alert(it, open, numbered)),
            Standing::Idle | Standing::Holding { .. } => None,
        },
        next_at: it.next.map(timestamp),
    }
}

fn condition(clause: &Clause) -> v1::ExplainedCondition {
    let truth = match clause.is {
        Tri::False => v1::Truth::False,
        Tri::Unknown => v1::Truth::Unknown,
        Tri::True => v1::Truth::True,
    };
    v1::ExplainedCondition {
        text: clause.text.to_string(),
        truth: truth.into(),
        values: clause.values.iter().map(value).collect(),
    }
}

fn value(read: &Reading) -> v1::ReadValue {
    v1::ReadValue {
        name: read.name.to_string(),
        value: read.value.to_string(),
        age_ms: read.age_ms,
        unknown_because: read.unknown.map_or("", Unknown::name).to_owned(),
    }
}

fn why_not(why: &WhyNot) -> v1::WhyNot {
    v1::WhyNot { reason: why.name().to_owned(), text: why.to_string() }
}

fn alert(it: &Explained, open: &OpenAlert, numbered: bool) -> v1::ExplainedAlert {
    let (clears_by, clear, clear_held_ms, clear_for_ms) = match &open.clears {
        Clears::ByHand => ("person", None, 0, 0),
        Clears::Maintained => ("maintenance", None, 0, 0),
        Clears::Heard => ("frame", None, 0, 0),
        Clears::Quiet { done_ms, for_ms } => ("quiet", None, *done_ms, *for_ms),
        Clears::When { clause, done_ms, for_ms } => ("condition", Some(clause), *done_ms, *for_ms),
    };
    v1::ExplainedAlert {
        id: if numbered { open.alert.to_string() } else { String::new() },
        rule: it.rule.to_string(),
        title: Some(title(&it.title)),
        severity: it.severity.number(),
        opened_at: Some(timestamp(open.opened_at)),
        acknowledged_by: super::text(open.acknowledged_by.as_deref()),
        unproven: open.unproven,
        clears_by: clears_by.to_owned(),
        clear: clear.map(condition),
        clear_held_ms,
        clear_for_ms,
    }
}

fn built_in(it: &BuiltInAlert, numbered: bool) -> v1::ExplainedAlert {
    v1::ExplainedAlert {
        id: if numbered { it.alert.to_string() } else { String::new() },
        rule: it.alert.rule.to_string(),
        title: Some(title(&it.title)),
        severity: it.severity.number(),
        opened_at: Some(timestamp(it.opened_at)),
        ..v1::ExplainedAlert::default()
    }
}

fn title(title: &Title) -> v1::AlertTitle {
    v1::AlertTitle { en: title.en.to_string(), zh: title.zh.to_string() }
}
