//! Names that a file mentions and nobody knows: a misspelt one would be taken as it stands.

use std::collections::{BTreeMap, BTreeSet};

use tonic::transport::Channel;

use super::columns::{Columns, Kind};
use super::rows::Fault;
use crate::cli::refused;
use crate::core::{rules, tables};
use crate::limits;
use crate::proto::v1::archive_entry::Entry;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::rules_service_client::RulesServiceClient;
use crate::proto::v1::{EntryKind, GetRulesRequest, ListEntriesRequest};

/// What is known of the names in one column, and what was found.
#[derive(Debug, Default)]
pub(super) struct Mentioned {
    column: Option<Column>,
    /// An unknown name is a fault of its row.
    strict: bool,
    /// Unknown names by where they stood first.
    found: BTreeMap<String, u64>,
}

#[derive(Debug)]
struct Column {
    name: &'static str,
    known: BTreeSet<String>,
    /// Where names are known.
    whence: &'static str,
}

impl Mentioned {
    /// Asks the service what it knows of what the file mentions.
    pub(super) async fn ask(kind: Kind, columns: &Columns, strict: bool, channel: Channel) -> anyhow::Result<Self> {
        let column = match kind {
            Kind::Lifts | Kind::Workers if columns.number("firm").is_some() => {
                Some(Column { name: "firm", known: firms(channel).await?, whence: "the archive knows no such firm" })
            }
            Kind::Cylinders if columns.number("kind").is_some() => {
                let known = cylinder_kinds(channel).await?;
                // Without a table nothing follows from a kind, so that none is wrong.
                let whence = "no table of intervals knows this kind";
                Some(Column { name: "kind", known, whence }).filter(|column| !column.known.is_empty())
            }
            _ => None,
        };
        Ok(Self { column, strict, found: BTreeMap::new() })
    }

    /// Looks at a row; what is wrong with it where that is an error.
    pub(super) fn look(&mut self, line: u64, columns: &Columns, fields: &[&str]) -> Option<Fault> {
        let column = self.column.as_ref()?;
        let text = columns.text(fields, column.name);
        if text.is_empty() || column.known.contains(text) {
            return None;
        }
        if self.strict {
            let (column, why) = (columns.number(column.name), words(column, text));
            return Some(Fault { line, column, why });
        }
        if self.found.len() < limits::ENTRY_ERRORS {
            self.found.entry(text.to_owned()).or_insert(line);
        }
        None
    }

    /// One for each unknown name, in the order of the file.
    pub(super) fn warnings(&self, columns: &Columns) -> Vec<Fault> {
        let Some(column) = &self.column else { return Vec::new() };
        let warning = |(text, line): (&String, &u64)| {
            let why = format!("warning: {}; taken all the same (--strict refuses it)", words(column, text));
            Fault { line: *line, column: columns.number(column.name), why }
        };
        let mut warnings: Vec<Fault> = self.found.iter().map(warning).collect();
        warnings.sort();
        warnings
    }
}

fn words(column: &Column, text: &str) -> String {
    let hint = rules::did_you_mean(text, column.known.iter().map(String::as_str));
    format!("{} {text:?}: {}{hint}", column.name, column.whence)
}

async fn firms(channel: Channel) -> anyhow::Result<BTreeSet<String>> {
    let mut client = RegistryServiceClient::new(channel);
    let page_size = u32::try_from(limits::PAGE_ROWS).unwrap_or_default();
    let mut request = ListEntriesRequest { kind: EntryKind::Firm.into(), page_size, page_token: String::new() };
    let mut firms = BTreeSet::new();
    loop {
        let page = client
            .list_entries(request.clone())
            .await
            .map_err(|status| refused(&status).context("which firms the archive knows can't be found out"));
        let page = page?.into_inner();
        firms.extend(page.entries.into_iter().filter_map(|entry| match entry.entry {
            Some(Entry::Firm(firm)) => Some(firm.id),
            _ => None,
        }));
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            return Ok(firms);
        }
    }
}

async fn cylinder_kinds(channel: Channel) -> anyhow::Result<BTreeSet<String>> {
    let answer = RulesServiceClient::new(channel).get_rules(GetRulesRequest {}).await;
    let answer = answer
        .map_err(|status| refused(&status).context("which kinds of cylinders the tables know can't be found out"))?;
    let files: Vec<_> =
        answer.into_inner().files.into_iter().map(|file| (file.name.into(), file.text.into())).collect();
    // Those of a later version may say what this one doesn't understand.
    let Ok(tables) = tables::parse(&files) else { return Ok(BTreeSet::new()) };
    Ok(tables.cylinders.kinds().map(str::to_owned).collect())
}
