//! `vigil import`: a CSV file into the archive.

mod columns;
mod lines;
mod mentioned;
mod records;
mod rows;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

pub use self::columns::Kind;
use self::mentioned::Mentioned;
pub use self::rows::{Fault, Reader};
use self::rows::{Faults, Sent};
use super::{Server, Terminal, count, refused};
use crate::limits;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::{UpsertDevicesRequest, UpsertDevicesResponse};

/// Read lifts, cylinders, firms, sites or workers from a CSV file into the archive, or records of maintenance
///
/// The file is UTF-8 with commas, its first line names the columns, and every further line is one entry, which
/// replaces the one with the same code: a column that is left out is emptied. Good lines are taken even if others are
/// bad; importing the same file again changes nothing. docs/import.md has examples.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = columns::help())]
pub struct Args {
    /// What the file holds
    #[arg(value_enum)]
    kind: Kind,
    /// The file
    file: PathBuf,
    /// Check and count only, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Refuse lines that name a firm, or a kind of cylinder, that nobody knows, instead of only saying so
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let name = args.file.display().to_string();
    let (file, again, bytes) = rows::open(&args.file).with_context(|| name.clone())?;
    if args.kind == Kind::Records {
        return records::run(&args, &name, (file, again, bytes), terminal).await;
    }
    let reader = Reader::new(args.kind, file, again).with_context(|| name.clone())?;
    let columns = reader.columns();
    let channel = args.server.connect().await?;
    let mentioned = Mentioned::ask(args.kind, &columns, args.strict, channel.clone()).await?;

    let (sender, mut receiver) = mpsc::channel(limits::IMPORT_AHEAD);
    let bar = progress(terminal, bytes);
    let reading = tokio::task::spawn_blocking({
        let bar = bar.clone();
        move || reader.send_all(&sender, &bar, mentioned)
    });
    let answer = match receiver.recv().await {
        Some(first) => upload(channel, first, receiver, args.dry_run).await,
        None => Ok(UpsertDevicesResponse::default()),
    };
    let sent = reading.await.context("reading the file failed")?;
    bar.finish_and_clear();
    let answer = answer?;
    let Sent { mut faults, rows, mentioned } = sent.with_context(|| name.clone())?;
    faults.add_answer(&answer, &columns);
    let is_refused = |warning: &Fault| faults.first.iter().any(|fault| fault.line == warning.line);
    for Fault { line, column, why } in mentioned.warnings(&columns).into_iter().filter(|it| !is_refused(it)) {
        let column = column.map(|column| format!(":{column}")).unwrap_or_default();
        terminal.notice(&format!("{name}:{line}{column}: {why}"))?;
    }
    report(&name, &faults, terminal)?;
    let what = if args.dry_run { " (dry run, nothing was written)" } else { "" };
    terminal.line(&format!(
        "{}: {} changed, {} unchanged, {} failed{what}",
        count(rows, "row"),
        answer.changed,
        answer.unchanged,
        faults.rows
    ))?;
    Ok(if faults.rows == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn upload(
    channel: tonic::transport::Channel,
    mut first: UpsertDevicesRequest,
    rest: mpsc::Receiver<UpsertDevicesRequest>,
    dry_run: bool,
) -> anyhow::Result<UpsertDevicesResponse> {
    first.request_id = request_id();
    first.dry_run = dry_run;
    let messages = tokio_stream::StreamExt::chain(tokio_stream::once(first), ReceiverStream::new(rest));
    let answer = RegistryServiceClient::new(channel).upsert_devices(messages).await;
    Ok(answer
        .map_err(|status| refused(&status).context("what was taken until then stays; import the file again"))?
        .into_inner())
}

/// New for every run: what is unchanged since the last one shall be counted so.
fn request_id() -> String {
    // Every RandomState is keyed from the system's random numbers.
    let random = || RandomState::new().build_hasher().finish();
    format!("import-{:016x}{:016x}", random(), random())
}

fn progress(terminal: &Terminal, bytes: u64) -> ProgressBar {
    if !terminal.progress {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
    ProgressBar::new(bytes).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn report(name: &str, faults: &Faults, terminal: &mut Terminal) -> std::io::Result<()> {
    for Fault { line, column, why } in &faults.first {
        let column = column.map(|column| format!(":{column}")).unwrap_or_default();
        terminal.notice(&format!("{name}:{line}{column}: {why}"))?;
    }
    if faults.more > 0 {
        terminal.notice(&format!("{name}: and {} more faults", faults.more))?;
    }
    Ok(())
}
