//! The core, judged from outside: scenarios as text under the shipped rules, and invariants under random records.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise, in its helpers too")]

#[path = "support/script.rs"]
mod script;
#[path = "support/timeline.rs"]
mod timeline;

#[path = "core/archive.rs"]
mod archive;
#[path = "core/backlog.rs"]
mod backlog;
#[path = "core/blind.rs"]
mod blind;
#[path = "core/bounds.rs"]
mod bounds;
#[path = "core/counts.rs"]
mod counts;
#[path = "core/explain.rs"]
mod explain;
#[path = "core/fills.rs"]
mod fills;
#[path = "core/invariants.rs"]
mod invariants;
#[path = "core/lift.rs"]
mod lift;
#[path = "core/obligations.rs"]
mod obligations;
#[path = "core/overrides.rs"]
mod overrides;
#[path = "core/policy.rs"]
mod policy;
#[path = "core/profiles.rs"]
mod profiles;
#[path = "core/records.rs"]
mod records;
#[path = "core/registry.rs"]
mod registry;
#[path = "core/telemetry.rs"]
mod telemetry;
#[path = "core/trapped.rs"]
mod trapped;
#[path = "core/windows.rs"]
mod windows;
