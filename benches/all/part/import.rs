//! A city's archive by `vigil import`, beside the bare database taking the same rows of the same table and nothing else.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::SinkExt as _;
use rusqlite::types::Value;
use tokio::runtime::Runtime;
use vigil::model::archive::Entry;

use super::end_to_end::POLL;
use crate::bare::{self, connect};
use crate::service::Service;
use crate::table::{Budget, Table};
use crate::{Bench, CYLINDERS, LIFTS, load};

/// "Well under a minute" for a city's cylinders.
const IMPORT_S: f64 = 30.0;
/// As the store commits them.
const BATCH: usize = 10_000;

pub fn measure(bench: &Bench, table: &mut Table) {
    let lifts = bench.quicker(LIFTS, LIFTS / 5);
    let cylinders = bench.quicker(CYLINDERS, CYLINDERS / 5);
    for name in ["PostgreSQL", "SQLite"] {
        let url = (name == "PostgreSQL").then(|| bench.postgres().database());
        let broker = bench.broker(false);
        let service = Service::start(broker.addr(), url.as_deref());
        for (kind, csv, rows) in [("lift", lifts_csv(lifts), lifts), ("cylinder", cylinders_csv(cylinders), cylinders)]
        {
            let began = Instant::now();
            service.import(&format!("{kind}s"), &csv);
            let taken = began.elapsed();
            await_rows(&service, url.as_deref(), kind, rows);
            let stored = began.elapsed();
            let floor = match &url {
                Some(url) => Runtime::new().expect("a runtime").block_on(copied(url, kind)),
                None => inserted(&service, kind),
            };
            let per_s = |span: Duration| f64::from(rows) / span.as_secs_f64();
            let whole = table.row(
                format!("{name}: {rows} {kind}s, told to `vigil import` to be safe"),
                "s",
                taken.as_secs_f64(),
            );
            if rows == CYLINDERS {
                whole.budget(Budget::AtMost(IMPORT_S));
            }
            table.row("the same", "rows/s", per_s(taken));
            table.row("until the last one is stored", "rows/s", per_s(stored)).floor(floor);
        }
        let megabytes = |sql: &str| ask(&service, url.as_deref(), sql) as f64 / 1e6;
        let sql = match &url {
            Some(_) => "SELECT pg_database_size(current_database())",
            None => "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        };
        table.note(format!(
            "{name}: {:.0} MB, with {} rows that tell what changed, and {} of what is due",
            megabytes(sql),
            ask(&service, url.as_deref(), "SELECT count(*) FROM archive_change"),
            ask(&service, url.as_deref(), "SELECT count(*) FROM due"),
        ));
    }
}

/// Waits until the store has that many.
fn await_rows(service: &Service, url: Option<&str>, kind: &str, rows: u32) {
    while ask(service, url, &format!("SELECT count(*) FROM {kind}")) < i64::from(rows) {
        std::thread::sleep(POLL);
    }
}

/// One number out of the database.
pub fn ask(service: &Service, url: Option<&str>, sql: &str) -> i64 {
    let Some(url) = url else {
        let database = rusqlite::Connection::open(service.sqlite()).expect("the service has made it");
        return database.query_row(sql, [], |row| row.get(0)).expect("it can be read");
    };
    Runtime::new()
        .expect("a runtime")
        .block_on(async { connect(url).await.query_one(sql, &[]).await.expect("it can be read").get(0) })
}

/// Rows a second of a bare COPY of the same rows into a table with the same indexes.
async fn copied(url: &str, kind: &str) -> f64 {
    let client = connect(url).await;
    let setup = format!("CREATE TABLE bare_{kind} (LIKE {kind} INCLUDING INDEXES); CHECKPOINT");
    client.batch_execute(&setup).await.expect("a table can be made");
    let copied = bare::copy_out(&client, &format!("SELECT * FROM {kind}")).await;
    let (chunks, rows) = bare::split(&copied, BATCH);
    let began = Instant::now();
    for chunk in chunks {
        copy_in(&client, kind, chunk).await;
    }
    rows as f64 / began.elapsed().as_secs_f64()
}

async fn copy_in(client: &tokio_postgres::Client, kind: &str, rows: Bytes) {
    let sink = client.copy_in(&format!("COPY bare_{kind} FROM STDIN (FORMAT binary)")).await.expect("it takes rows");
    let mut sink = std::pin::pin!(sink);
    sink.send(rows).await.expect("it takes rows");
    sink.finish().await.expect("it takes rows");
}

/// Rows a second of prepared INSERTs of the same rows into an empty copy of the database's tables, as durable as ours.
fn inserted(service: &Service, kind: &str) -> f64 {
    let source = rusqlite::Connection::open(service.sqlite()).expect("the service has made it");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo makes this folder for benchmarks");
    let mut bare = rusqlite::Connection::open(folder.path().join("bare.db")).expect("it is new");
    bare.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL").expect("they are known");
    let mut schema = source
        .prepare("SELECT sql FROM sqlite_schema WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type DESC")
        .expect("every database has one");
    let schema: Vec<String> =
        schema.query_map([kind], |row| row.get(0)).and_then(Iterator::collect).expect("it can be read");
    schema.iter().for_each(|sql| bare.execute_batch(sql).expect("it was made so before"));
    let mut select = source.prepare(&format!("SELECT * FROM {kind}")).expect("it is there");
    let columns = select.column_count();
    let values: Vec<Vec<Value>> = select
        .query_map([], |row| (0..columns).map(|at| row.get(at)).collect())
        .and_then(Iterator::collect)
        .expect("it can be read");
    let insert = format!("INSERT INTO {kind} VALUES ({})", vec!["?"; columns].join(", "));
    let began = Instant::now();
    for batch in values.chunks(BATCH) {
        let transaction = bare.transaction().expect("nobody else writes");
        {
            let mut statement = transaction.prepare_cached(&insert).expect("it is good SQL");
            for row in batch {
                statement.execute(rusqlite::params_from_iter(row)).expect("it takes rows");
            }
        }
        transaction.commit().expect("it takes rows");
    }
    values.len() as f64 / began.elapsed().as_secs_f64()
}

/// With every column that a real archive fills.
pub fn lifts_csv(lifts: u32) -> String {
    let mut csv = String::from(
        "code,catalogue,registration,use_registration,address,district,latitude,longitude,rescue_code,building,feeder,\
         firm,contract_from,contract_to,use_unit,officer,officer_phone,keep_alive_s,terminal,base_on,inspected_on,\
         inspection_due\n",
    );
    for entry in (0..lifts).map(load::lift) {
        let Entry::Lift(it) = entry else { continue };
        let text = |text: &Option<Box<str>>| format!("\"{}\"", text.as_deref().unwrap_or_default());
        let degrees = |e7: i32| format!("{}.{:07}", e7 / 10_000_000, e7 % 10_000_000);
        let position = it.position.expect("it has one");
        let contract = it.contract.expect("it has one");
        let fields = [
            it.code.to_string(),
            shown(&it.catalogue),
            shown(&it.registration),
            text(&it.use_registration),
            text(&it.address),
            shown(&it.district),
            degrees(position.latitude_e7),
            degrees(position.longitude_e7),
            text(&it.rescue_code),
            shown(&it.building),
            shown(&it.feeder),
            shown(&it.firm),
            contract.from.to_string(),
            shown(&contract.to),
            text(&it.use_unit),
            text(&it.officer),
            text(&it.officer_phone),
            shown(&it.keep_alive_s),
            text(&it.terminal),
            shown(&it.base_on),
            shown(&it.inspected_on),
            shown(&it.inspection_due),
        ];
        writeln!(csv, "{}", fields.join(",")).expect("a text takes everything");
    }
    csv
}

fn cylinders_csv(cylinders: u32) -> String {
    let mut csv = String::from(
        "code,aliases,stamped_number,kind,medium,standard,made_on,volume_ml,tare_g,max_fill_g,filling_unit,\
         filling_unit_since,entrusted,inspected_on,inspection_due,district\n",
    );
    for entry in (0..cylinders).map(load::cylinder) {
        let Entry::Cylinder(it) = entry else { continue };
        let entrusted = it.entrusted.iter().map(|it| format!("{} {} {}", it.site, it.from, shown(&it.to)));
        let fields = [
            it.code.to_string(),
            it.aliases.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
            shown(&it.stamped_number),
            shown(&it.kind),
            shown(&it.medium),
            shown(&it.standard),
            shown(&it.made_on),
            shown(&it.volume_ml),
            shown(&it.tare_g),
            shown(&it.max_fill_g),
            shown(&it.filling_unit),
            shown(&it.filling_unit_since),
            entrusted.collect::<Vec<_>>().join("; "),
            shown(&it.inspected_on),
            shown(&it.inspection_due),
            shown(&it.district),
        ];
        writeln!(csv, "{}", fields.join(",")).expect("a text takes everything");
    }
    csv
}

fn shown(value: &Option<impl ToString>) -> String {
    value.as_ref().map_or_else(String::new, ToString::to_string)
}
