//! The state machine against a table of all pairs of state and step.

use vigil::model::incident::{State, Step, StepKind, Tier, Whom};
use vigil::model::record::Outcome;

use crate::world::{World, close, command};

/// The table: for each state and step, the state that follows; `None`: it is refused.
pub(crate) fn table() -> Vec<(State, StepKind, Option<State>)> {
    let mut lines = include_str!("moves.txt").lines().filter(|line| !line.starts_with('#'));
    let steps: Vec<StepKind> =
        lines.next().unwrap().split_whitespace().map(|name| StepKind::from_name(name).unwrap()).collect();
    let mut all = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let state = State::from_name(words.next().unwrap()).unwrap();
        for (step, to) in steps.iter().zip(words) {
            all.push((state, *step, (to != "-").then(|| State::from_name(to).unwrap())));
        }
    }
    assert_eq!(all.len(), State::ALL.len() * StepKind::ALL.len(), "every pair stands in the table");
    all
}

pub(crate) fn step_of(kind: StepKind) -> Step {
    match kind {
        StepKind::Command => command(Tier::Firm),
        StepKind::Accept => Step::Accept,
        StepKind::Decline => Step::Decline,
        StepKind::TurnOut => Step::TurnOut,
        StepKind::Arrive => Step::Arrive,
        StepKind::HandOver => Step::HandOver(Whom { tier: Tier::Station, id: None }),
        StepKind::Free => Step::Free,
        StepKind::Close => close(1),
        StepKind::FalseAlarm => Step::FalseAlarm,
        StepKind::Note => Step::Note,
    }
}

/// The shortest way to a state.
fn way_to(state: State) -> &'static [StepKind] {
    use StepKind as S;
    match state {
        State::Received => &[],
        State::Commanded => &[S::Command],
        State::Accepted => &[S::Command, S::Accept],
        State::TurnedOut => &[S::Command, S::Accept, S::TurnOut],
        State::Arrived => &[S::Command, S::Accept, S::TurnOut, S::Arrive],
        State::Freed => &[S::Free],
        State::Closed => &[S::Free, S::Close],
        State::FalseAlarm => &[S::FalseAlarm],
    }
}

/// Flow: an incident is brought to each state, and each step is tried in it.
/// Asserts: what is possible leads where the table says, and is told; what isn't names all that is, and changes nothing.
#[test]
fn every_step_in_every_state_does_what_the_table_says() {
    let table = table();
    for (state, kind, to) in &table {
        let mut world = World::new(false);
        let id = world.call("A");
        for step in way_to(*state) {
            assert!(matches!(world.step(id, step_of(*step)), Outcome::Incident { .. }));
        }
        assert_eq!(world.state(id), *state);
        let (before, told) = (world.incident(id), world.timeline.incidents.len());
        let outcome = world.step(id, step_of(*kind));
        match to {
            Some(to) => {
                assert!(matches!(outcome, Outcome::Incident { .. }), "{state:?} {kind:?}: {outcome:?}");
                assert_eq!(world.state(id), *to, "{state:?} {kind:?}");
                assert!(world.timeline.incidents.len() > told, "{state:?} {kind:?} is told");
            }
            None => {
                let Outcome::Precondition { why } = &outcome else { panic!("{state:?} {kind:?}: {outcome:?}") };
                let named = why.split_once("possible is ").unwrap().1;
                let legal = table.iter().filter(|(of, _, to)| of == state && to.is_some());
                let legal: Vec<&str> = legal.map(|(_, kind, _)| kind.name()).collect();
                assert_eq!(named.split(", ").collect::<Vec<_>>(), legal, "{state:?} {kind:?}");
                assert_eq!(world.incident(id), before);
                assert_eq!(world.timeline.incidents.len(), told);
            }
        }
    }
}
