//! `vigil rules reload`: a running service reads its rule files again.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::process::ExitCode;
use std::time::Duration;

use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::super::show::clean;
use super::super::{Server, count, refused};
use super::Terminal;
use crate::proto::v1::rules_service_client::RulesServiceClient;
use crate::proto::v1::{ReloadRulesRequest, ReloadRulesResponse};

/// Before it is asked once more.
const PAUSE: Duration = Duration::from_secs(1);

/// Let a running service read its rule files again
///
/// The files are those of the service's own folder (rules.dir). Wrong ones change nothing, and each fault is named. The
/// exit code is 1 then.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = RulesServiceClient::new(args.server.connect().await?);
    // Every RandomState is keyed from the system's random numbers.
    let request_id = format!("reload-{:016x}", RandomState::new().build_hasher().finish());
    let ask = ReloadRulesRequest { request_id };
    let mut answer = client.reload_rules(ask.clone()).await;
    // What was taken meanwhile is answered, not read again.
    if answer.as_ref().is_err_and(|status| may_pass(status.code())) {
        terminal.notice("# the service has not answered yet: asking it once more")?;
        tokio::time::sleep(PAUSE).await;
        answer = client.reload_rules(ask).await;
    }
    match answer {
        Ok(answer) => {
            for line in lines(&answer.into_inner()) {
                terminal.line(&line)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(status) if status.code() == Code::FailedPrecondition => {
            for line in faults(&status) {
                terminal.notice(&line)?;
            }
            terminal.notice(&clean(status.message()))?;
            Ok(ExitCode::FAILURE)
        }
        Err(status) if may_pass(status.code()) => {
            // What it says of the request id is for programs: the next run has another one.
            let advice = "whether the rules were taken is not known: run it again, which takes none of them twice";
            Err(anyhow::anyhow!("the service answered {:?} twice: {advice}", status.code()))
        }
        Err(status) => Err(refused(&status)),
    }
}

fn may_pass(code: Code) -> bool {
    matches!(code, Code::DeadlineExceeded | Code::ResourceExhausted | Code::Unavailable | Code::Aborted)
}

fn lines(answer: &ReloadRulesResponse) -> Vec<String> {
    let version = answer.policy_version;
    let unchanged = count((answer.unchanged.len() + answer.reworded.len()) as u64, "rule");
    let Some(position) = answer.position else {
        return vec![format!("nothing differs: policy {version} stays in force, {unchanged}")];
    };
    let named = [
        ("added", &answer.added, ""),
        ("changed", &answer.changed, ", begins anew"),
        ("removed", &answer.removed, ""),
        ("reworded", &answer.reworded, ""),
    ];
    let mut lines: Vec<String> = named
        .into_iter()
        .flat_map(|(what, ids, more)| ids.iter().map(move |id| format!("{what:<9} {}{more}", clean(id))))
        .collect();
    lines.extend(answer.settings_changed.then(|| "changed   settings".into()));
    lines.push(format!("policy {version} is in force since position {position}; {unchanged} judge as before"));
    lines
}

fn faults(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.precondition_failure().map(|failure| failure.violations.as_slice()).unwrap_or_default();
    // What else keeps rules from being taken is in the message.
    let faults =
        violations.iter().filter(|violation| ["RULE_FAULT", "MORE_FAULTS"].contains(&violation.r#type.as_str()));
    faults
        .map(|fault| match fault.subject.as_str() {
            "" => clean(&fault.description),
            place => clean(&format!("{place}: {}", fault.description)),
        })
        .collect()
}
