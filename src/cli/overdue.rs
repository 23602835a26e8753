//! `vigil overdue`: what should have been done by a day, and wasn't.

use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;
use tonic::transport::Channel;

use super::show::clean;
use super::{Server, Terminal, count, refused};
use crate::limits;
use crate::model::obligation::DueKind;
use crate::proto::v1::inspection_service_client::InspectionServiceClient;
use crate::proto::v1::{DueItem, ListOverdueRequest};

/// Show which inspections, tests, visits, checks and drills are overdue
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    server: Server,
    /// As it stood at the end of that day, YYYY-MM-DD, by what was known then; otherwise today
    #[arg(long, value_name = "DAY", default_value = "", hide_default_value = true)]
    as_of: String,
    /// Only in these districts or within, with commas between them
    #[arg(long, value_name = "CODES", value_delimiter = ',')]
    district: Vec<String>,
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind, help = kinds_help())]
    kind: Vec<DueKind>,
    /// Only what this maintenance firm has to see to
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    firm: String,
    /// Only what this filling unit has to see to
    #[arg(long, value_name = "CODE", default_value = "", hide_default_value = true, conflicts_with = "firm")]
    site: String,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    /// CSV instead of a table
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Begin the CSV with a byte order mark, which some spreadsheet programs need to read it as UTF-8
    #[arg(long, requires = "csv")]
    bom: bool,
}

fn kind(name: &str) -> Result<DueKind, String> {
    DueKind::from_name(name).ok_or_else(|| format!("it is one of {}", names()))
}

fn kinds_help() -> String {
    format!("Only of these kinds, with commas between them: {}", names())
}

fn names() -> String {
    DueKind::ALL.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let mut client = InspectionServiceClient::<Channel>::new(args.server.connect().await?);
    let mut request = ListOverdueRequest {
        as_of: args.as_of,
        districts: args.district,
        kinds: args.kind.iter().map(|kind| kind.number()).collect(),
        firm: args.firm,
        site: args.site,
        page_size: limits::PAGE_ROWS as u32,
        page_token: String::new(),
    };
    let mut shown = 0_u64;
    loop {
        let page = client.list_overdue(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
        // The day may turn between two pages: they go on with the first one's.
        if request.as_of.is_empty() {
            request.as_of.clone_from(&page.as_of);
        }
        if shown == 0 && args.csv {
            let mark = if args.bom { "\u{feff}" } else { "" };
            terminal.line(&format!("{mark}{}", COLUMNS.join(",")))?;
        } else if shown == 0 && !args.json && !page.items.is_empty() {
            terminal.line(HEADER)?;
        }
        for item in &page.items {
            shown += 1;
            terminal.line(&match (args.json, args.csv) {
                (true, _) => item_json(item),
                (_, true) => item_csv(item)?,
                _ => row(item),
            })?;
        }
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    terminal.notice(&format!("# {} overdue as of {}", count(shown, "item"), clean(&request.as_of)))?;
    Ok(ExitCode::SUCCESS)
}

const HEADER: &str =
    "subject                          kind                 due on     days  district firm or filling unit  why";
const COLUMNS: [&str; 10] =
    ["device", "cylinder", "kind", "due_on", "days_overdue", "basis_on", "district", "firm", "site", "clause"];

fn name(item: &DueItem) -> &'static str {
    DueKind::from_number(item.kind).map_or("?", DueKind::name)
}

fn row(item: &DueItem) -> String {
    let subject = if item.device.is_empty() { &item.cylinder } else { &item.device };
    let party = if item.firm.is_empty() { &item.site } else { &item.firm };
    let or_dash = |text: &str| if text.is_empty() { "-".to_owned() } else { clean(text) };
    let line = format!(
        "{:<32} {:<20} {:<10} {:>4}  {:<8} {:<20} {}",
        clean(subject),
        name(item),
        clean(&item.due_on),
        item.days_overdue,
        or_dash(&item.district),
        or_dash(party),
        clean(&item.clause)
    );
    line.trim_end().to_owned()
}

fn item_json(item: &DueItem) -> String {
    let or_null = |text: &str| if text.is_empty() { serde_json::Value::Null } else { text.into() };
    json!({
        "device": or_null(&item.device),
        "cylinder": or_null(&item.cylinder),
        "kind": name(item),
        "due_on": item.due_on,
        "days_overdue": item.days_overdue,
        "basis_on": or_null(&item.basis_on),
        "district": or_null(&item.district),
        "firm": or_null(&item.firm),
        "site": or_null(&item.site),
        "clause": item.clause,
        "recorded_on": item.recorded_on,
    })
    .to_string()
}

fn item_csv(item: &DueItem) -> anyhow::Result<String> {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.write_record([
        &*item.device,
        &item.cylinder,
        name(item),
        &item.due_on,
        &item.days_overdue.to_string(),
        &item.basis_on,
        &item.district,
        &item.firm,
        &item.site,
        &item.clause,
    ])?;
    let line = writer.into_inner().context("a line of CSV")?;
    Ok(String::from_utf8(line)?.trim_end_matches('\n').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> DueItem {
        DueItem {
            device: "31305001122014017242".into(),
            kind: DueKind::HalfMonth.number(),
            due_on: "2026-12-07".into(),
            days_overdue: 8,
            basis_on: "2026-11-22".into(),
            clause: "TSG T5002-2017: 15 days after the last visit, \"or a greater one\"".into(),
            district: "640104".into(),
            firm: "F-1".into(),
            recorded_on: "2026-11-22".into(),
            ..DueItem::default()
        }
    }

    #[test]
    fn a_line_of_each_form() {
        assert_eq!(
            row(&item()),
            "31305001122014017242             half-month           2026-12-07    8  640104   F-1                  \
             TSG T5002-2017: 15 days after the last visit, \"or a greater one\""
        );
        assert_eq!(
            item_csv(&item()).unwrap(),
            "31305001122014017242,,half-month,2026-12-07,8,2026-11-22,640104,F-1,,\
             \"TSG T5002-2017: 15 days after the last visit, \"\"or a greater one\"\"\""
        );
        let json: serde_json::Value = serde_json::from_str(&item_json(&item())).unwrap();
        assert_eq!(
            (&json["kind"], &json["days_overdue"], &json["site"]),
            (&"half-month".into(), &8.into(), &().into())
        );
    }
}
