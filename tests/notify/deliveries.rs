//! Order, repeats, retries, isolation, replay, secrets.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vigil::model::alert::EventKind;
use vigil::notify::Outcome;

use crate::support::receiver::{Mood, Received, Receiver};
use crate::support::wait;
use crate::world::{PATIENCE, SECRET, World, alert, seqs, target, target_at, write_secret};

/// Far above what a delivery takes on this machine, far below what the dead one's time-outs and waits would add.
const UNDELAYED: Duration = Duration::from_secs(1);

/// Whether each delivery is signed with one of the secrets, by an implementation that isn't ours.
fn check_signatures(received: &[Received], secret: &str) -> Vec<bool> {
    const PROGRAM: &str = "import sys, json, hmac, hashlib\n\
        for line in sys.stdin:\n    \
            it = json.loads(line)\n    \
            signed = (it['timestamp'] + '.').encode() + it['body'].encode()\n    \
            want = 'v1=' + hmac.new(it['secret'].encode(), signed, hashlib.sha256).hexdigest()\n    \
            print(any(hmac.compare_digest(want, given) for given in it['signature'].split(',')))\n";
    let mut python = Command::new("python3");
    let mut python = python
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is installed");
    let mut to = python.stdin.take().unwrap();
    for it in received {
        let (timestamp, signature) = (it.header("vigil-timestamp"), it.header("vigil-signature"));
        let line =
            serde_json::json!({ "timestamp": timestamp, "signature": signature, "body": it.text(), "secret": secret });
        writeln!(to, "{line}").unwrap();
    }
    drop(to);
    let output = python.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line == "True").collect()
}

/// Flow: 300 alerts open.
/// Asserts: each is delivered once, in order, signed so that somebody else can tell, with ids and content.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn everything_comes_once_in_order_and_signed() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    world.start(&target("city", &receiver, ""));
    world.begun("city").await;
    world.open(300);
    let received = receiver.wait_taken(300, PATIENCE);
    assert_eq!(seqs(&received), (1..=300).collect::<Vec<_>>());
    assert_eq!(check_signatures(&received, SECRET), vec![true; 300]);
    assert_eq!(check_signatures(&received[..3], "another secret of that length"), vec![false; 3]);
    let (seventh, body) = (&received[6], received[6].json());
    assert_eq!(seventh.header(""), "POST /hook?token=t0ken HTTP/1.1");
    assert_eq!(seventh.header("content-type"), "application/json");
    assert_eq!(seventh.header("vigil-delivery"), "test-1.alert.1.7");
    assert_eq!((&body["id"], &body["stream"]), (&"test-1.alert.1.7".into(), &"alert".into()));
    assert_eq!((&body["target"], &body["instance"]), (&"city".into(), &"test-1".into()));
    assert_eq!((&body["event"]["kind"], &body["event"]["seq"]), (&"opened".into(), &7.into()));
    let alert = &body["event"]["alert"];
    assert_eq!((&alert["rule"], &alert["severity"]), (&"trapped-out-of-zone".into(), &"critical".into()));
    assert_eq!((&alert["address"], &alert["occupied"]), (&"北京路 1 号".into(), &true.into()));
    let standing = world.until("city", |it| it.behind == 0).await;
    assert_eq!((standing.delivered, standing.given_up), (300, 0));
}

/// Flow: a receiver fails, is busy, hangs, drops the connection and redirects before it takes the first of three.
/// Asserts: the same delivery comes again until it is taken, the others after it; the redirect is not followed.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_fails_comes_again_before_anything_else() {
    let (mut world, receiver, elsewhere) = (World::new(), Receiver::start(), Receiver::start());
    receiver.then([
        Mood::Answer(500, String::new()),
        Mood::CloseHalfWay,
        Mood::Answer(307, format!("location: {}\r\n", elsewhere.url())),
        Mood::Hang,
        Mood::Answer(429, "retry-after: 1\r\n".into()),
    ]);
    world.start(&target("city", &receiver, "timeout = \"300ms\"").replacen("timeout = \"1s\"\n", "", 1));
    world.begun("city").await;
    world.open(3);
    let failing = world.until("city", |it| it.attempts >= 2 && it.is_failing()).await;
    assert!(!failing.reason.is_empty() && failing.pending_since.is_some(), "{failing:?}");
    receiver.wait_taken(3, PATIENCE);
    let all = receiver.received();
    assert_eq!(seqs(&all), [1, 1, 1, 1, 1, 1, 2, 3]);
    let first = &all[0];
    assert!(
        all[..6]
            .iter()
            .all(|it| it.body == first.body && it.header("vigil-delivery") == first.header("vigil-delivery"))
    );
    assert!(all[5].at - all[4].at >= Duration::from_secs(1), "the receiver asked for a second");
    assert!(elsewhere.received().is_empty());
    world.until("city", |it| it.behind == 0).await;
    let deliveries = world.notifier().deliveries("city", false).await.unwrap();
    let attempts: Vec<_> = deliveries.iter().map(|it| (it.cursor.seq, it.outcome, it.attempts)).collect();
    assert_eq!(attempts, [(3, Outcome::Delivered, 1), (2, Outcome::Delivered, 1), (1, Outcome::Delivered, 6)]);
}

/// Flow: a receiver refuses the second of three.
/// Asserts: it is given up and listed with what was said, and the third comes.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_refused_is_given_up_and_shown() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    receiver.then([Mood::Take, Mood::Answer(422, String::new())]);
    world.start(&target("city", &receiver, ""));
    world.begun("city").await;
    world.open(3);
    assert_eq!(seqs(&receiver.wait_taken(2, PATIENCE)), [1, 3]);
    world.until("city", |it| it.behind == 0 && it.given_up == 1).await;
    let given_up = world.notifier().deliveries("city", true).await.unwrap();
    assert_eq!(given_up.len(), 1);
    assert_eq!((given_up[0].cursor.seq, given_up[0].reason.as_str()), (2, "refused"));
    assert_eq!(given_up[0].detail, "status 422: no thanks");
}

/// Flow: receivers refuse who says it or where, once: a secret or a receiver is being exchanged.
/// Asserts: the same comes again, and nothing is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_of_the_sender_is_no_refusal_of_the_event() {
    let codes = [401, 403, 404, 407, 421];
    let mut world = World::new();
    let receivers = codes.map(|code| {
        let receiver = Receiver::start();
        receiver.then([Mood::Answer(code, String::new())]);
        receiver
    });
    let names = codes.map(|code| format!("t{code}"));
    let targets: Vec<String> = names.iter().zip(&receivers).map(|(name, to)| target(name, to, "")).collect();
    world.start(&targets.concat());
    for name in &names {
        world.begun(name).await;
    }
    world.open(2);
    for (name, receiver) in names.iter().zip(&receivers) {
        receiver.wait_taken(2, PATIENCE);
        assert_eq!(seqs(&receiver.received()), [1, 1, 2], "{name}");
        assert_eq!(world.until(name, |it| it.behind == 0).await.given_up, 0, "{name}");
    }
}

/// Flow: one target hangs, one isn't there, one pours an answer without end, one fails; alerts open one by one.
/// Asserts: a fifth target hears of each within a second.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dead_target_delays_no_other() {
    let mut world = World::new();
    let [alive, hangs, pours, fails] = [(); 4].map(|()| Receiver::start());
    hangs.be(Mood::Hang);
    pours.be(Mood::Endless);
    fails.be(Mood::Answer(503, String::new()));
    let nobody = format!("http://127.0.0.1:{}/", crate::support::ports::free());
    let all = [
        target("alive", &alive, ""),
        target("hangs", &hangs, ""),
        target("pours", &pours, ""),
        target("fails", &fails, ""),
        target_at("absent", &nobody, ""),
    ];
    world.start(&all.concat());
    for name in ["alive", "hangs", "pours", "fails", "absent"] {
        world.begun(name).await;
    }
    let mut slowest = Duration::ZERO;
    for n in 1..=40 {
        let told = Instant::now();
        world.open(1);
        let received = alive.wait_taken(n, PATIENCE);
        slowest = slowest.max(received[n - 1].at - told);
    }
    println!("the slowest of 40 deliveries took {slowest:?} beside four dead targets");
    assert!(slowest < UNDELAYED, "{slowest:?}");
    assert_eq!(seqs(&alive.received()), (1..=40).collect::<Vec<_>>());
    // An answer without end is an answer: it was 200. Of its body little is read.
    let poured = pours.wait_taken(5, PATIENCE).len() as u64;
    assert!(pours.poured() < 8 * 1024 * 1024 * (poured + 1), "{} bytes were read of {poured} answers", pours.poured());
    for name in ["hangs", "fails", "absent"] {
        world.until(name, |it| it.is_failing()).await;
    }
    assert_eq!(world.until("absent", |it| it.attempts > 0).await.reason, "unreachable");
}

/// Flow: nobody listens while alerts open; the service ends and starts; somebody listens.
/// Asserts: all that happened since the target was first configured comes, in order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_that_comes_back_is_told_what_it_missed() {
    let mut world = World::new();
    let addr = ([127, 0, 0, 1], crate::support::ports::free()).into();
    let targets = target_at("city", &format!("http://{addr}/"), "");
    world.open(5);
    world.start(&targets);
    world.begun("city").await;
    world.open(20);
    world.until("city", |it| it.attempts >= 2).await;
    world.stop().await;
    world.open(20);
    let receiver = Receiver::at(addr);
    world.start(&targets);
    assert_eq!(seqs(&receiver.wait_taken(40, PATIENCE)), (6..=45).collect::<Vec<_>>());
    world.until("city", |it| it.behind == 0).await;
    world.stop().await;
    world.open(1);
    world.start(&targets);
    receiver.wait_taken(41, PATIENCE);
    assert_eq!(seqs(&receiver.received()), (6..=46).collect::<Vec<_>>(), "nothing that was noted comes again");
}

/// Flow: a target has had nine events; it is told again from the fourth on.
/// Asserts: the same ids and bodies come again; what lies in the future, or nowhere, is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replay_tells_the_same_again() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    world.start(&target("city", &receiver, "max_age = \"1m\""));
    world.begun("city").await;
    let told = Instant::now();
    for n in 1..=9 {
        // Old, though not too old yet.
        world.tell_late(EventKind::Opened, alert(n), 55_000);
    }
    let first = receiver.wait_taken(9, PATIENCE);
    world.until("city", |it| it.behind == 0).await;
    // By now they would be too old; the replay makes them new.
    wait::until(told + Duration::from_millis(5_500));
    world.notifier().replay("city", None, 4).await.unwrap();
    world.open(1);
    let all = receiver.wait_taken(16, PATIENCE);
    assert_eq!(seqs(&all), [1, 2, 3, 4, 5, 6, 7, 8, 9, 4, 5, 6, 7, 8, 9, 10]);
    for (again, before) in all[9..15].iter().zip(&first[3..]) {
        assert_eq!((&again.body, again.header("vigil-delivery")), (&before.body, before.header("vigil-delivery")));
    }
    for (target, from, want) in
        [("town", 1, "no target"), ("city", 11, "has not happened"), ("city", 99, "has not happened")]
    {
        let error = world.notifier().replay(target, None, from).await.unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
    let error = world.notifier().replay("city", Some(2), 4).await.unwrap_err().to_string();
    assert!(error.contains("this is epoch 1"), "{error}");
    world.notifier().replay("city", Some(1), 10).await.unwrap();
    assert_eq!(seqs(&receiver.wait_taken(17, PATIENCE))[16..], [10]);
}

/// Flow: a target is stuck on a receiver that fails; a replay is asked for.
/// Asserts: it doesn't wait for the one that fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_replay_interrupts_a_wait() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    receiver.then([Mood::Take, Mood::Take, Mood::Answer(503, "retry-after: 300\r\n".into())]);
    world.start(&target("city", &receiver, ""));
    world.begun("city").await;
    world.open(3);
    world.until("city", |it| it.is_failing()).await;
    world.notifier().replay("city", None, 2).await.unwrap();
    assert_eq!(seqs(&receiver.wait_taken(4, PATIENCE)), [1, 2, 2, 3]);
}

/// Flow: events are told of which two happened longer ago than the target wants to know.
/// Asserts: those are given up without an attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_too_old_is_given_up() {
    let (mut world, receiver) = (World::new(), Receiver::start());
    world.start(&target("city", &receiver, "max_age = \"1m\""));
    world.begun("city").await;
    world.tell_late(EventKind::Opened, alert(1), 61_000);
    world.tell_late(EventKind::Opened, alert(2), 30_000);
    world.tell_late(EventKind::Opened, alert(3), 90_000);
    world.open(1);
    assert_eq!(seqs(&receiver.wait_taken(2, PATIENCE)), [2, 4]);
    world.until("city", |it| it.behind == 0).await;
    let given_up = world.notifier().deliveries("city", true).await.unwrap();
    let told: Vec<_> = given_up.iter().map(|it| (it.cursor.seq, it.reason.as_str(), it.attempts)).collect();
    assert_eq!(told, [(3, "too-old", 0), (1, "too-old", 0)]);
}

/// Asserts: only what all of a target's filters let through is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_target_is_told_only_what_it_wants() {
    let mut world = World::new();
    let check = [
        ("minimum_severity = \"critical\"", vec![3, 7, 11, 13]),
        ("districts = [\"640101\", \"640102\"]", vec![1, 2, 4, 5, 7, 8, 10, 11, 13]),
        ("minimum_severity = \"major\"\ndistricts = [\"640101\"]", vec![7, 10, 13]),
        ("rules = [\"door-fault\", \"offline\"]", vec![]),
        ("kinds = [\"cleared\"]", vec![13]),
        ("districts = [\"6401\"]\nrules = [\"trapped-out-of-zone\"]", (1..=13).collect()),
    ];
    let receivers: Vec<_> = check.iter().map(|_| Receiver::start()).collect();
    let names: Vec<String> = (0..check.len()).map(|n| format!("t-{n}")).collect();
    let targets: Vec<_> = names
        .iter()
        .zip(&receivers)
        .zip(&check)
        .map(|((name, receiver), (filter, _))| target(name, receiver, filter))
        .collect();
    world.start(&targets.concat());
    for name in &names {
        world.begun(name).await;
    }
    world.open(12);
    world.tell(EventKind::Cleared, alert(7));
    for ((name, receiver), (filter, want)) in names.iter().zip(&receivers).zip(check) {
        world.until(name, |it| it.behind == 0).await;
        assert_eq!(seqs(&receiver.received()), want, "{filter}");
    }
}

/// Flow: the secret is replaced, first beside the old one, then instead of it; then everybody may read it.
/// Asserts: signatures follow without a restart; what everybody may read signs nothing until that is mended.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_is_replaced_while_the_service_runs() {
    const NEXT: &str = "the secret after the first one";
    let (mut world, receiver) = (World::new(), Receiver::start());
    world.start(&target("city", &receiver, ""));
    world.begun("city").await;
    let mut taken = 0;
    let mut check = |world: &mut World, secret: &str, want: [bool; 2]| {
        write_secret(&world.secret(), secret);
        world.open(1);
        taken += 1;
        let last = receiver.wait_taken(taken, PATIENCE).pop().unwrap();
        let one = [last];
        assert_eq!([check_signatures(&one, SECRET)[0], check_signatures(&one, NEXT)[0]], want, "{secret:?}");
    };
    check(&mut world, SECRET, [true, false]);
    check(&mut world, &format!("{NEXT}\n{SECRET}\n"), [true, true]);
    check(&mut world, NEXT, [false, true]);
    std::fs::set_permissions(world.secret(), std::fs::Permissions::from_mode(0o644)).unwrap();
    world.open(1);
    let failing = world.until("city", |it| it.is_failing()).await;
    assert_eq!(failing.reason, "secret");
    assert!(failing.detail.contains("chmod 600"), "{}", failing.detail);
    assert_eq!(receiver.received().len(), 3);
    std::fs::set_permissions(world.secret(), std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(seqs(&receiver.wait_taken(4, PATIENCE)), [1, 2, 3, 4]);
}

/// Flow: a target is behind when the service begins a new epoch, whose numbers go on, or begin anew.
/// Asserts: it is told the rest of the old one, then the new one, and nothing is given up.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_epoch_follows_on_the_old_one() {
    follow_on(false, ["1.1", "1.2", "1.3", "1.4", "1.5", "2.6", "2.7"]).await;
    follow_on(true, ["1.1", "1.2", "1.3", "1.4", "1.5", "2.1", "2.2"]).await;
}

async fn follow_on(anew: bool, want: [&str; 7]) {
    let (mut world, receiver) = (World::new(), Receiver::start());
    let targets = target("city", &receiver, "");
    world.start(&targets);
    world.begun("city").await;
    world.open(2);
    receiver.wait_taken(2, PATIENCE);
    world.until("city", |it| it.behind == 0).await;
    world.stop().await;
    world.open(3);
    world.raise_epoch(anew);
    world.open(2);
    world.start(&targets);
    let ids: Vec<String> =
        receiver.wait_taken(7, PATIENCE).iter().map(|it| it.header("vigil-delivery").to_owned()).collect();
    assert_eq!(ids, want.map(|at| format!("test-1.alert.{at}")));
    world.until("city", |it| it.behind == 0 && it.given_up == 0).await;
}
