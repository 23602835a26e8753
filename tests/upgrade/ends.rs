//! The clean end that an upgrade begins with.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tokio::sync::{oneshot, watch};
use vigil::clock::Clock;
use vigil::journal::memory::MemoryDisk;
use vigil::journal::snapshots::SnapshotDir;
use vigil::journal::{Identity, Journal as _};
use vigil::limits;
use vigil::model::actor::Actor;
use vigil::model::archive::{Entry, Lift};
use vigil::model::ids::DeviceCode;
use vigil::model::record::{Action, Command, PolicyText};
use vigil::spine::driver::{Driver, Options, Outlet, Standing, Vitals};
use vigil::spine::input::{Durable, Input};
use vigil::spine::recover::Parts;
use vigil::spine::{Quotas, Released, Spine};

struct Nobody;

impl Outlet for Nobody {
    fn released(&mut self, _: Released, _: Standing) {}
}

fn lift(n: usize) -> Entry {
    Entry::Lift(Lift { ..Lift::new(DeviceCode::parse(&format!("{n:020}")).unwrap()) })
}

/// Flow: new rules make the core look at more lifts than it does at once; in the same moment it is told to end.
/// Asserts: it ends with a snapshot behind which the inbox holds nothing.
#[test]
fn an_end_in_the_middle_of_a_sweep_leaves_nothing_to_judge_again() {
    let disk = |id| MemoryDisk::new(Identity { id, epoch: 1 });
    let (inbox, outbox) = (disk(1), disk(2));
    let quotas = Quotas { inbox_bytes: 1 << 40, outbox_bytes: 1 << 40 };
    let parts = Parts {
        inbox: Box::new(inbox.open().0),
        outbox: Box::new(outbox.open().0),
        poison: Box::new(BTreeSet::new()),
        snapshot: None,
        quotas,
    };
    let (spine, _) = Spine::recover(parts).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let snapshots = Arc::new(SnapshotDir::open(folder.path()).unwrap());
    let (sender, inputs) = sync_channel(16);
    let driver = Driver {
        spine,
        inputs,
        clock: Clock::default(),
        durable: watch::Sender::new(Durable::default()),
        outlet: Box::new(Nobody),
        vitals: Arc::new(Vitals::default()),
        snapshots: Arc::clone(&snapshots),
        options: Options { quotas, inbox_retention_ms: 1, event_retention_ms: 1, snapshot_every_ms: 3_600_000 },
    };
    for n in 0..4 {
        let lifts = (0..limits::COMMAND_ITEMS).map(|at| lift(n * limits::COMMAND_ITEMS + at)).collect();
        let command =
            Command { request: n.to_string().into(), actor: Actor::local_admin(), action: Action::Upsert(lifts) };
        sender.send(Input::Command { command, reply: oneshot::channel().0 }).unwrap();
    }
    let policy = PolicyText { zone: "Asia/Shanghai".into(), topic_prefix: "vigil/v1".into(), ..PolicyText::default() };
    sender.send(Input::Policy { policy, reply: oneshot::channel().0 }).unwrap();
    sender.send(Input::Stop).unwrap();
    driver.run().unwrap();
    let end = inbox.open().0.next();
    assert!(end > 5 + 4, "there was nothing left to do: {end}");
    assert_eq!(snapshots.newest().unwrap().map(|snapshot| snapshot.pos), Some(end));
}
