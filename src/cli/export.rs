//! `vigil export`: the archive as CSV.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use super::{Server, Terminal, count, refused};
use crate::limits;
use crate::model::archive::{EntryKind, field_names, field_texts};
use crate::proto::v1;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::serve;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Lifts,
    Cylinders,
    Firms,
    Sites,
    Workers,
}

impl Kind {
    fn of_entries(self) -> (EntryKind, v1::EntryKind) {
        match self {
            Self::Lifts => (EntryKind::Lift, v1::EntryKind::Lift),
            Self::Cylinders => (EntryKind::Cylinder, v1::EntryKind::Cylinder),
            Self::Firms => (EntryKind::Firm, v1::EntryKind::Firm),
            Self::Sites => (EntryKind::Site, v1::EntryKind::Site),
            Self::Workers => (EntryKind::Worker, v1::EntryKind::Worker),
        }
    }
}

/// Write lifts, cylinders, firms, sites or workers of the archive as CSV
///
/// The file has the columns that `vigil import` takes, so that it can be changed and imported again. It holds what the
/// caller may see, by code.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// What to write
    #[arg(value_enum)]
    kind: Kind,
    /// The file to write; without it, standard output
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// For spreadsheet programs: begin with a byte order mark, and put ' before texts that they would take for formulas
    #[arg(long)]
    bom: bool,
    #[command(flatten)]
    server: Server,
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = RegistryServiceClient::new(args.server.connect().await?);
    let Some(path) = &args.output else {
        let written = write(&args, &mut client, &mut terminal.out).await?;
        return tell(&written, terminal);
    };
    let name = path.display().to_string();
    let mut file = File::create(path).with_context(|| name.clone())?;
    let written = write(&args, &mut client, &mut file).await?;
    file.sync_all().with_context(|| name.clone())?;
    terminal.notice(&format!("{name}: {}", count(written.rows, "row")))?;
    tell(&written, terminal)
}

/// What was written, and which entries couldn't be.
#[derive(Debug, Default)]
struct Written {
    rows: u64,
    left_out: Vec<String>,
}

fn tell(written: &Written, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    for why in &written.left_out {
        terminal.notice(why)?;
    }
    Ok(if written.left_out.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn write(
    args: &Args,
    client: &mut RegistryServiceClient<tonic::transport::Channel>,
    out: &mut (dyn Write + Send),
) -> anyhow::Result<Written> {
    let (kind, asked) = args.kind.of_entries();
    let page_size = u32::try_from(limits::PAGE_ROWS).unwrap_or_default();
    let mut request = v1::ListEntriesRequest { kind: asked.into(), page_size, page_token: String::new() };
    let mut written = Written::default();
    if args.bom {
        out.write_all("\u{feff}".as_bytes()).context("can't be written")?;
    }
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(field_names(kind))?;
    loop {
        let page = client.list_entries(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        for entry in page.entries {
            match serve::listed_entry(entry) {
                Ok(entry) => {
                    rows.write_record(cells(field_texts(&entry), args.bom))?;
                    written.rows += 1;
                }
                Err(why) => written.left_out.push(format!("left out: {why}")),
            }
        }
        let page_rows = rows.into_inner().context("can't be written")?;
        out.write_all(&page_rows).context("can't be written")?;
        rows = csv::Writer::from_writer(Vec::new());
        if page.next_page_token.is_empty() {
            out.flush().context("can't be written")?;
            return Ok(written);
        }
        request.page_token = page.next_page_token;
    }
}

fn cells(texts: Vec<String>, for_spreadsheets: bool) -> impl Iterator<Item = String> {
    let cell = move |text: String| if for_spreadsheets && is_formula(&text) { format!("'{text}") } else { text };
    texts.into_iter().map(cell)
}

/// Whether a spreadsheet would reckon with it. A number is one.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_reckon_with_is_text() {
        for (text, want) in [
            ("=1+1", true),
            ("@SUM(A1)", true),
            ("-2+3", true),
            ("-106.2309087", false),
            ("+8613900000000", false),
            ("北京路 1 号", false),
            ("", false),
        ] {
            assert_eq!(is_formula(text), want, "{text}");
        }
        let texts = || ["a", "=d"].map(str::to_owned).to_vec();
        assert_eq!(cells(texts(), true).collect::<Vec<_>>(), ["a", "'=d"]);
        assert_eq!(cells(texts(), false).collect::<Vec<_>>(), ["a", "=d"]);
    }
}
