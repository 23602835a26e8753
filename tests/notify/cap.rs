//! Targets that take CAP.

use vigil::model::alert::{AlertState, Certainty, EventKind, Severity};
use vigil::model::archive::{Entry, Lift, Position};
use vigil::model::time::Wall;

use crate::support::cap;
use crate::support::receiver::{Mood, Received, Receiver};
use crate::world::{PATIENCE, World, alert, target};

fn message(received: &Received) -> cap::Element {
    assert_eq!(received.header("content-type"), "application/cap+xml");
    cap::check(&received.text()).unwrap_or_else(|wrong| panic!("{wrong}\n{}", received.text()))
}

/// `Update 1.alert.1.4 <- 1, 3`
fn told(received: &[Received]) -> Vec<String> {
    let number = |identifier: &str| identifier.rsplit('.').next().unwrap().to_owned();
    received
        .iter()
        .map(|it| {
            let alert = message(it);
            let references = alert.text_of("references").unwrap_or_default();
            let named: Vec<String> =
                references.split(' ').filter_map(|one| one.split(',').nth(1)).map(number).collect();
            let kind = alert.text_of("msgType").unwrap();
            format!("{kind} {} <- {}", number(alert.text_of("identifier").unwrap()), named.join(", "))
        })
        .collect()
}

/// Flow: an alert opens, rises, is acknowledged and clears, opens again; another one only clears. The first target gets all, the
/// second refuses the second message, the third wants only what is critical, the fourth doesn't want to hear of the end.
/// Asserts: each gets a chain of its own, which names what it has taken; told again, it is the same byte for byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_target_has_a_chain_of_its_own() {
    let mut world = World::new();
    let [all, refuses, critical, opens] = [(); 4].map(|()| Receiver::start());
    refuses.then([Mood::Take, Mood::Answer(422, String::new())]);
    let targets = [
        target("all", &all, "format = \"cap\""),
        target("refuses", &refuses, "format = \"cap\""),
        target("critical", &critical, "format = \"cap\"\nminimum_severity = \"critical\""),
        target("opens", &opens, "format = \"cap\"\nkinds = [\"opened\", \"raised\"]"),
    ];
    world.start(&targets.concat());
    for name in ["all", "refuses", "critical", "opens"] {
        world.begun(name).await;
    }
    let mut one = alert(2);
    world.tell(EventKind::Opened, one.clone());
    one.severity = Severity::Critical;
    world.tell(EventKind::Raised, one.clone());
    world.tell(EventKind::Acknowledged, one.clone());
    one.state = AlertState::Cleared;
    one.cleared_at = Some(Wall(1_763_766_100_000));
    world.tell(EventKind::Cleared, one.clone());
    let mut other = alert(7);
    other.state = AlertState::Cleared;
    world.tell(EventKind::Cleared, other);
    one.state = AlertState::Open;
    one.cleared_at = None;
    one.certainty = Certainty::Possible;
    world.tell(EventKind::Reopened, one);
    for name in ["all", "refuses", "critical", "opens"] {
        world.until(name, |it| it.behind == 0).await;
    }
    let chain = ["Alert 1 <- ", "Update 2 <- 1", "Update 3 <- 1, 2", "Cancel 4 <- 1, 2, 3", "Alert 6 <- "];
    assert_eq!(told(&all.received()), chain);
    assert_eq!(told(&refuses.taken()), ["Alert 1 <- ", "Update 3 <- 1", "Cancel 4 <- 1, 3", "Alert 6 <- "]);
    assert_eq!(told(&critical.received()), ["Alert 2 <- ", "Update 3 <- 2", "Cancel 4 <- 2, 3", "Alert 6 <- "]);
    assert_eq!(told(&opens.received()), ["Alert 1 <- ", "Update 2 <- 1"]);

    let first = all.received();
    world.notifier().replay("all", None, 2).await.unwrap();
    let again = all.wait_taken(9, PATIENCE);
    let bodies = |received: &[Received]| received.iter().map(|it| it.body.clone()).collect::<Vec<_>>();
    assert_eq!(bodies(&again[5..]), bodies(&first[1..]));
}

/// Flow: the archive knows where a lift is.
/// Asserts: so does the message.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_message_says_where_it_is() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    let alert = alert(3);
    let vigil::model::ids::Subject::Device(code) = alert.id.subject else { panic!("a lift") };
    let lift = Lift {
        position: Some(Position { latitude_e7: 384_872_000, longitude_e7: 1_062_309_000 }),
        rescue_code: Some("640001".into()),
        ..Lift::new(code)
    };
    world.archive(Entry::Lift(lift)).await;
    world.start(&target("city", &receiver, "format = \"cap\""));
    world.begun("city").await;
    world.tell(EventKind::Opened, alert);
    let info = message(&receiver.wait_taken(1, PATIENCE)[0]).all("info").next().unwrap().clone();
    let area = info.all("area").next().unwrap();
    assert_eq!(area.text_of("circle"), Some("38.4872000,106.2309000 0.05"));
    assert_eq!(area.text_of("areaDesc"), Some("北京路 1 号"));
    let rescue_code = info.all("parameter").find(|it| it.text_of("valueName") == Some("vigil:rescue-code")).unwrap();
    assert_eq!(rescue_code.text_of("value"), Some("640001"));
}
