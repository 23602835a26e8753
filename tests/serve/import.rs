//! `vigil import` against the server: each file under `tests/import` has what is to be printed beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use vigil::model::archive::EntryKind;

use crate::cli::{Printed, print};
use crate::world::World;

fn files() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/import").unwrap();
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().unwrap() == "csv").collect();
    files.sort();
    files
}

fn text(printed: &Printed) -> String {
    let mut text = String::new();
    text += &printed.out.text();
    text += &printed.err.text();
    match &printed.result {
        Ok(true) => text += "exit 0\n",
        Ok(false) => text += "exit 1\n",
        Err(error) => writeln!(text, "error: {error}").unwrap(),
    }
    text
}

#[tokio::test]
async fn every_file_prints_what_stands_beside_it() {
    let files = files();
    assert!(files.len() >= 10, "the files are gone");
    let mut wrong = String::new();
    for file in files {
        let world = World::start().await;
        let kind = file.file_stem().unwrap().to_str().unwrap().split('-').next().unwrap().to_owned();
        let printed = print(&world, &["import", &kind, file.to_str().unwrap()]).await;
        let wanted = std::fs::read_to_string(file.with_extension("expected")).unwrap_or_default();
        if text(&printed) != wanted {
            write!(wrong, "--- {} wanted:\n{wanted}--- printed:\n{}", file.display(), text(&printed)).unwrap();
        }
        world.end().await;
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test]
async fn importing_again_changes_nothing_and_a_dry_run_writes_nothing() {
    let world = World::start().await;
    let check = async |words: &[&str], want: &str| {
        let printed = print(&world, &[&["import", "lifts", "tests/import/lifts-good.csv"], words].concat()).await;
        assert_eq!(printed.out.text(), want);
        assert_eq!(printed.result, Ok(true));
    };
    check(&["--dry-run"], "3 rows: 3 changed, 0 unchanged, 0 failed (dry run, nothing was written)\n").await;
    assert!(world.store.archive.lock().unwrap().is_empty());
    check(&[], "3 rows: 3 changed, 0 unchanged, 0 failed\n").await;
    check(&[], "3 rows: 0 changed, 3 unchanged, 0 failed\n").await;
    check(&["--dry-run"], "3 rows: 0 changed, 3 unchanged, 0 failed (dry run, nothing was written)\n").await;
    world.end().await;
}

/// Flow: lifts name a firm that the archive knows, and others that it doesn't; cylinders name kinds.
/// Asserts: each unknown name is said once, with its first row and the nearest known one, and taken; `--strict` refuses its rows.
#[tokio::test]
async fn names_that_nobody_knows_are_said() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let rows = |name: &str, text: &[&str]| write(folder.path(), name, text.iter().map(|row| (*row).to_owned()));
    let firms = rows("firms.csv", &["id,name", "nx-lift,First"]);
    assert_eq!(print(&world, &["import", "firms", &firms]).await.result, Ok(true));
    let lifts = rows(
        "lifts.csv",
        &[
            "code,firm",
            "31105001122014017242,nx-lift",
            "31105001122014017243,nx-lfit",
            "31105001122014017244,nx-lfit",
            "31105001122014017245,",
            "31105001122014017246,elsewhere",
        ],
    );
    let printed = print(&world, &["import", "lifts", &lifts]).await;
    let told: Vec<String> = printed.err.text().lines().map(|line| line.replace(&lifts, "lifts.csv")).collect();
    assert_eq!(
        told,
        [
            "lifts.csv:3:2: warning: firm \"nx-lfit\": the archive knows no such firm; did you mean `nx-lift`?; taken all the same \
             (--strict refuses it)",
            "lifts.csv:6:2: warning: firm \"elsewhere\": the archive knows no such firm; taken all the same (--strict refuses it)",
        ]
    );
    assert_eq!(printed.out.text(), "5 rows: 5 changed, 0 unchanged, 0 failed\n");
    let printed = print(&world, &["import", "lifts", &lifts, "--strict"]).await;
    assert_eq!(printed.out.text(), "5 rows: 0 changed, 2 unchanged, 3 failed\n");
    assert_eq!((printed.result, printed.err.text().lines().count()), (Ok(false), 3));

    let cylinders = rows("cylinders.csv", &["code,kind", "CYL-000001,lpg-welded", "CYL-000002,lpg-weldde"]);
    let printed = print(&world, &["import", "cylinders", &cylinders]).await;
    assert!(
        printed
            .err
            .text()
            .contains("warning: kind \"lpg-weldde\": no table of intervals knows this kind; did you mean `lpg-welded`"),
        "{}",
        printed.err.text()
    );
    world.end().await;
}

fn write(folder: &Path, name: &str, rows: impl Iterator<Item = String>) -> String {
    let path = folder.join(name);
    let text: String = rows.map(|row| row + "\n").collect();
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn large_files_go_in_groups_and_the_faults_kept_are_bounded() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    let header = std::iter::once("code,medium".to_owned());
    let good = write(folder.path(), "good.csv", header.clone().chain((0..1_234).map(|n| format!("CYL-{n:06},lpg"))));
    let printed = print(&world, &["import", "cylinders", &good]).await;
    assert_eq!(text(&printed), "1234 rows: 1234 changed, 0 unchanged, 0 failed\nexit 0\n");
    let archive = world.store.archive.lock().unwrap().len();
    assert_eq!(archive, 1_234);

    let bad = write(folder.path(), "bad.csv", header.chain((0..1_000).map(|n| format!("CYL-{n:06},L"))));
    let printed = print(&world, &["import", "cylinders", &bad]).await;
    assert_eq!(printed.out.text(), "1000 rows: 0 changed, 0 unchanged, 1000 failed\n");
    assert_eq!(printed.err.text().lines().count(), 201);
    assert!(printed.err.text().ends_with("and 800 more faults\n"), "{}", printed.err.text());
    assert_eq!(printed.result, Ok(false));
    let key = (EntryKind::Cylinder, "CYL-000001".into());
    assert!(world.store.archive.lock().unwrap().contains_key(&key));
    world.end().await;
}

/// Flow: files of every kind are imported and exported, and what was exported is imported again.
/// Asserts: it changes nothing; for spreadsheets it begins with a byte order mark, and formulas are texts.
#[tokio::test]
async fn what_is_exported_is_what_was_imported() {
    let world = World::start().await;
    let folder = tempfile::tempdir().unwrap();
    for (kind, file, rows) in [
        ("lifts", "lifts-whole.csv", 2),
        ("cylinders", "cylinders-whole.csv", 2),
        ("firms", "firms-spaces.csv", 1),
        ("workers", "workers-mixed.csv", 2),
    ] {
        let first = print(&world, &["import", kind, &format!("tests/import/{file}")]).await;
        let changed = first.out.text().split(" changed").next().unwrap().rsplit(' ').next().unwrap().to_owned();
        let path = folder.path().join(kind);
        let path = path.to_str().unwrap();
        let exported = print(&world, &["export", kind, "--output", path]).await;
        assert_eq!(exported.result, Ok(true), "{}", exported.err.text());
        let again = print(&world, &["import", kind, path]).await;
        assert_eq!(
            again.out.text(),
            format!("{changed} rows: 0 changed, {changed} unchanged, 0 failed\n").replace("1 rows", "1 row")
        );
        assert!(changed.parse::<usize>().unwrap() >= rows, "{kind}: {changed}");
        let shown = print(&world, &["export", kind, "--bom"]).await;
        assert!(shown.out.text().starts_with('\u{feff}'), "{kind}");
        assert_eq!(shown.out.text().lines().count(), changed.parse::<usize>().unwrap() + 1);
    }
    world.end().await;
}
