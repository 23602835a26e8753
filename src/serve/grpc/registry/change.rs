//! Writes about entries that are there: another terminal, another filling unit.

use tonic::Status;

use crate::limits::{ARCHIVE_TEXT_CHARS, REQUEST_ID_CHARS, TRANSFERRED};
use crate::model::actor::Actor;
use crate::model::ids::{CylinderCode, DeviceCode, SiteCode};
use crate::model::record::{Action, Command};
use crate::proto::v1;
use crate::serve::Shared;
use crate::serve::command::Patience;
use crate::serve::grpc::{Violations, convert};

pub(super) async fn replace_terminal(
    shared: &Shared,
    actor: Actor,
    asked: &v1::ReplaceTerminalRequest,
) -> Result<v1::ReplaceTerminalResponse, Status> {
    let mut violations = Violations::default();
    let request = violations.text("request_id", &asked.request_id, REQUEST_ID_CHARS);
    let device = violations.take("device", DeviceCode::parse(&asked.device));
    let terminal = violations.optional_text("terminal", &asked.terminal, ARCHIVE_TEXT_CHARS);
    violations.check()?;
    let (request, device) = request.zip(device).expect("what is missing was noted, and ended the call");
    let command = Command { request, actor, action: Action::ReplaceTerminal { device, terminal } };
    let done = shared.command(command, Patience::None).await?;
    Ok(v1::ReplaceTerminalResponse { position: done.position })
}

pub(super) async fn transfer_cylinders(
    shared: &Shared,
    actor: Actor,
    asked: &v1::TransferCylindersRequest,
) -> Result<v1::TransferCylindersResponse, Status> {
    let mut violations = Violations::default();
    let request = violations.text("request_id", &asked.request_id, REQUEST_ID_CHARS);
    let cylinders = cylinders(&asked.cylinders, &mut violations);
    let to = violations.take("to", SiteCode::parse(&asked.to));
    let on = violations.take("on", convert::day(&asked.on));
    violations.check()?;
    let ((request, to), on) = request.zip(to).zip(on).expect("what is missing was noted, and ended the call");
    let command = Command { request, actor, action: Action::TransferCylinders { cylinders, to, on } };
    let done = shared.command(command, Patience::None).await?;
    Ok(v1::TransferCylindersResponse { position: done.position, changed: done.changed })
}

fn cylinders(codes: &[String], violations: &mut Violations) -> Vec<CylinderCode> {
    if codes.is_empty() || codes.len() > TRANSFERRED {
        violations.add("cylinders", format!("are {}: name 1 to {TRANSFERRED}", codes.len()));
        return Vec::new();
    }
    let read = |(n, code): (usize, &String)| violations.take(&format!("cylinders[{n}]"), CylinderCode::parse(code));
    codes.iter().enumerate().filter_map(read).collect()
}
