//! What a store promises, checked for each of them: in memory, in SQLite, in PostgreSQL.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the message")]

#[path = "store/contract.rs"]
mod contract;
#[path = "store/databases.rs"]
mod databases;
#[path = "store/dues.rs"]
mod dues;
#[path = "store/incidents.rs"]
mod incidents;
#[path = "store/outages.rs"]
mod outages;
#[path = "store/partitions.rs"]
mod partitions;
#[path = "store/records.rs"]
mod records;
#[path = "store/retention.rs"]
mod retention;
mod support;
#[path = "store/world.rs"]
mod world;

/// Runs every check of the contract against every store.
macro_rules! contract {
    ($($check:ident)+) => {
        contract!(@each memory Memory $($check)+);
        contract!(@each sqlite Sqlite $($check)+);
        contract!(@each postgres Postgres $($check)+);
    };
    (@each $module:ident $kind:ident $($check:ident)+) => {
        mod $module {
            $(
                #[test]
                fn $check() {
                    crate::world::run(|| async { crate::contract::$check(crate::world::World::new(crate::world::Kind::$kind).await).await });
                }
            )+
        }
    };
}

contract! {
    everything_reads_back_as_it_was
    nothing_is_stored_at_first
    the_checkpoint_moves_only_from_where_it_is
    a_batch_is_stored_once
    a_failing_batch_leaves_nothing
    a_very_late_frame_is_stored_once
    a_very_late_scan_is_stored_once
    a_row_that_cannot_be_stored_costs_only_itself
    pages_follow_each_other_without_gap_or_repeat
    ranges_hold_their_beginning_and_not_their_end
    frames_far_from_now_are_kept
    an_alert_is_as_its_last_event_left_it
    events_are_resumed_by_seq
    rejects_are_filtered
    an_entry_is_replaced_whole
    changes_of_an_entry_stay_in_their_order
    lifts_are_found_by_what_people_know_of_them
    scans_that_tell_how_a_cylinder_stands_are_read_in_order
    relabelled_cylinders_are_found_by_codes_they_bore
    due_dates_stand_until_another_is_recorded
    an_incident_is_as_its_last_event_left_it
    incidents_stay_as_long_as_alerts
    lifts_that_report_are_counted
    records_read_back_as_they_were
    retention_drops_what_is_old
    evidence_outlives_the_frames_and_alerts_their_evidence
}
