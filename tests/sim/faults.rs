//! What can go wrong, counted; and what is broken on purpose, to see that it is found.

use crate::dice::Dice;

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Fault { $($(#[$doc])* $name),+ }
        impl Fault {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$name),+];
        }
    };
}

faults! {
    // Devices and the network before the broker.
    ReportLost,
    ReportRepeated,
    ReportReordered,
    ReportLate,
    ReportUnreadable,
    FrameUnreadable,
    FieldUnreadable,
    TopicWrong,
    PayloadMangled,
    DeviceOutage,
    DeviceClockWrong,
    TerminalReboot,
    TerminalReplaced,
    ScanLost,
    ScanRepeated,
    ScanLate,
    ScanUnreadable,
    ScannerReboot,
    // Between the broker and us.
    Disconnect,
    ReportRedelivered,
    /// What is durable is told to a subscriber that has reconnected since.
    AckStale,
    MarkerLost,
    QueueFull,
    // Our disks.
    WriteFailed,
    SyncFailed,
    SyncedAndDied,
    /// Part of a write got through before it failed.
    WrittenPartly,
    /// What the end of the machine does to a journal's files: the proof of the last sync is lost, a page in the middle
    /// of the unsynced end was never written, a segment was begun and has no name yet, or isn't finished, or was removed
    /// and comes back.
    SyncPointLost,
    PageLost,
    SegmentLost,
    SegmentUnfinished,
    RemovalUndone,
    SnapshotDamaged,
    SnapshotUnfinished,
    JournalsFull,
    // The process.
    CrashOfProcess,
    CrashOfMachine,
    TornTail,
    PartOfTailKept,
    Stall,
    LongDowntime,
    CleanStop,
    /// A record makes the core panic.
    RecordPanics,
    /// The same, of a record that was durable and not judged before the process died.
    ReplayPanics,
    // The store.
    StoreAway,
    CommitSlow,
    CommitFailed,
    CommitAnswerLost,
    /// The commit of a process that has died since.
    CommitOrphaned,
    // Clocks.
    ClockForward,
    ClockBackward,
    ClockSetWhileDown,
    // People and other systems.
    WatcherSlow,
    WatcherAway,
    StreamDropped,
    StreamSlow,
    /// A stream goes on where a heartbeat, and not an event, says that it has looked.
    ResumedByHeartbeat,
    PolicyReload,
    PolicyRefused,
    ArchiveChanged,
    CylinderEntered,
    SiteEntered,
    FirmEntered,
    WorkerEntered,
    /// The archive says that a cylinder bears other codes, too.
    CylinderRelabelled,
    CylinderTransferred,
    TerminalReplacedByHand,
    RequestRepeated,
    RequestReused,
    AlertAcknowledged,
    AlertCleared,
    // Records of visits and reports of inspections, counted as they are taken, or refused.
    RecordUploaded,
    RecordRepeated,
    RecordOfOtherContent,
    RecordCorrected,
    RecordRefused,
    RecordSigned,
    HazardReported,
    HazardRectified,
    /// What said that it was rectified was corrected.
    HazardTakenBack,
    InspectionReported,
    InspectionRepeated,
    InspectionOfOtherContent,
    InspectionCorrected,
    InspectionRefused,
    /// Something falls due on another day than was told before.
    DueDateMoved,
    // Rescues, counted as they are told.
    IncidentOpened,
    IncidentJoined,
    IncidentEnded,
    RescueAdvanced,
    RescueHandedOver,
    RescueUnanswered,
    RescueLate,
    ReassuranceUnanswered,
}

/// Something the simulated shell does wrong, which the simulation must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Canary {
    /// Messages are acknowledged as soon as they are received.
    AckBeforeSync,
    /// The disk says that it has synced, and hasn't.
    SyncIsLie,
    /// What is durable is taken to be of the present connection, whichever it was of.
    AckForOtherConnection,
    /// The store takes a batch whatever it holds already.
    CommitWithoutCheckpoint,
    /// A batch whose answer was lost is taken for stored.
    CommitNotTriedAgain,
    /// A watcher that comes back begins with the present.
    ResumeFromHead,
    /// An outbox that was cut short is not filled up by the restart.
    ReplayAddsNothing,
    /// Nobody wakes when something falls due.
    NoTicks,
    /// Markers count as heard that never came.
    MarkersMadeUp,
    /// A record that made the core panic is tried again.
    PoisonForgotten,
    /// The model takes an overdue cylinder that is collected for one in use.
    CollectedIsUse,
    /// The store takes scans for granted.
    ScansNotStored,
    /// A heartbeat names the newest event of all, whatever was looked at.
    HeartbeatsRunAhead,
    /// With a filter, an event names the one before it in the whole feed.
    PreviousOfAll,
    /// The end of the machine takes a page of a journal's file that was synced.
    DurablePageLost,
    /// Somebody writes something else into records that are stored.
    RecordsTampered,
    /// The store takes due dates for granted.
    DatesNotStored,
    /// The model takes a record that was corrected for one that can be corrected again.
    CorrectedTwice,
    /// What was uploaded and not answered is uploaded under other ids.
    UploadedAnew,
    /// The store takes rescues for granted.
    IncidentsNotStored,
    /// The model lets whoever is commanded later arrive later.
    ArrivalMoves,
}

impl Canary {
    pub(crate) const ALL: &'static [Self] = &[
        Self::AckBeforeSync,
        Self::SyncIsLie,
        Self::AckForOtherConnection,
        Self::CommitWithoutCheckpoint,
        Self::CommitNotTriedAgain,
        Self::ResumeFromHead,
        Self::ReplayAddsNothing,
        Self::NoTicks,
        Self::MarkersMadeUp,
        Self::PoisonForgotten,
        Self::CollectedIsUse,
        Self::ScansNotStored,
        Self::HeartbeatsRunAhead,
        Self::PreviousOfAll,
        Self::DurablePageLost,
        Self::RecordsTampered,
        Self::DatesNotStored,
        Self::CorrectedTwice,
        Self::UploadedAnew,
        Self::IncidentsNotStored,
        Self::ArrivalMoves,
    ];
}

/// Which faults a seed draws from, how often each was drawn, and the canary.
pub(crate) struct Faults {
    enabled: Vec<bool>,
    pub(crate) drawn: Vec<u64>,
    pub(crate) canary: Option<Canary>,
    /// Once the end is near nothing more goes wrong, so that everything must come right.
    pub(crate) over: bool,
}

impl Faults {
    /// Every seed leaves some faults out: what hides behind a frequent fault shows where that one is missing.
    pub(crate) fn new(dice: &mut Dice, canary: Option<Canary>) -> Self {
        let enabled = Fault::ALL.iter().map(|_| dice.chance(600)).collect();
        Self { enabled, drawn: vec![0; Fault::ALL.len()], canary, over: false }
    }

    pub(crate) fn is_enabled(&self, fault: Fault) -> bool {
        self.enabled[fault as usize] && !self.over
    }

    /// Whether it happens now; counted if so.
    pub(crate) fn draw(&mut self, dice: &mut Dice, fault: Fault, per_mille: u64) -> bool {
        let happens = self.is_enabled(fault) && dice.chance(per_mille);
        if happens {
            self.count(fault);
        }
        happens
    }

    pub(crate) fn count(&mut self, fault: Fault) {
        self.drawn[fault as usize] += 1;
    }

    pub(crate) fn has(&self, canary: Canary) -> bool {
        self.canary == Some(canary)
    }
}

impl Canary {
    /// The promises that it breaks, as findings name them.
    pub(crate) fn promises(self) -> &'static [&'static str] {
        match self {
            Self::AckBeforeSync | Self::AckForOtherConnection => &["P1"],
            // A snapshot may be ahead of what the disk kept, and is then the first to show it.
            Self::SyncIsLie => &["P1", "P7"],
            // Where a sync point stands behind it, the journal itself refuses.
            Self::DurablePageLost => &["P1"],
            Self::CollectedIsUse | Self::ArrivalMoves => &["P6"],
            Self::CommitWithoutCheckpoint | Self::CommitNotTriedAgain => &["P4"],
            Self::ScansNotStored | Self::RecordsTampered | Self::DatesNotStored | Self::IncidentsNotStored => &["P4"],
            Self::CorrectedTwice | Self::UploadedAnew => &["P2"],
            Self::ResumeFromHead | Self::HeartbeatsRunAhead | Self::PreviousOfAll => &["P3"],
            // What is missing may be a frame, or that a record was passed over.
            Self::ReplayAddsNothing => &["P7", "P8", "P2"],
            // What time should have changed may first be missed by somebody who asks.
            Self::NoTicks => &["P5", "P2"],
            Self::MarkersMadeUp => &["P5"],
            Self::PoisonForgotten => &["P8"],
        }
    }
}
