//! How far each target has been told, what became of its last deliveries, and which CAP messages it has taken: one small SQLite
//! file, so that a restart goes on where the last one ended.
//!
//! It is written behind each delivery, and not synced: after a power loss some deliveries are made again, which receivers have to
//! bear anyway.

mod file;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::{Connection, OptionalExtension as _, params};

use self::file::{File, Known};
use crate::cap::{Chain, Earlier, MessageKind};
use crate::limits;
use crate::model::alert::Cursor;
use crate::model::time::Wall;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    #[error("it was written by a later version of vigil (format {0})")]
    Later(i64),
    #[error("it is damaged, and can't be set aside: {0}")]
    Aside(std::io::Error),
    #[error("{0}")]
    Task(String),
}

impl LedgerError {
    /// The file isn't what was written to it.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        match self {
            Self::Sqlite(error) => matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)),
            Self::Later(_) | Self::Aside(_) | Self::Task(_) => false,
        }
    }
}

/// Where a target stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// The last event that it is through with.
    pub cursor: Cursor,
    /// Up to here it is told again: what lies before counts as new since `replayed_at`.
    pub replay_to: u64,
    pub replayed_at: Wall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Delivered,
    GivenUp,
}

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub cursor: Cursor,
    pub outcome: Outcome,
    /// Why it was given up; empty if it wasn't.
    pub reason: String,
    pub detail: String,
    pub attempts: u32,
    pub happened_at: Wall,
    pub done_at: Wall,
}

/// A CAP message that a target has taken.
#[derive(Debug, Clone)]
pub struct Taken {
    pub chain: String,
    pub message: Earlier,
    pub kind: MessageKind,
}

/// What is written at once.
#[derive(Debug, Clone, Default)]
pub struct Note {
    pub place: Place,
    pub incidents: bool,
    pub at: Wall,
    pub delivery: Option<Delivery>,
    pub taken: Option<Taken>,
}

/// A file that is damaged is set aside, whenever that turns out: what is told next must not wait for people. How far each target is
/// stands in memory as well.
#[derive(Clone)]
pub struct Ledger(Arc<Mutex<File>>);

impl Ledger {
    /// Opens the file, or makes it. What targets are no longer configured for a week is forgotten.
    pub fn open(file: &Path, targets: &[&str], now: Wall) -> Result<Self, LedgerError> {
        let mut file = File::new(file);
        file.mending(|it| {
            let connection = it.connection()?;
            forget(connection, targets, now)?;
            targets.iter().try_for_each(|target| tidy(connection, target, now))
        })?;
        Ok(Self(Arc::new(Mutex::new(file))))
    }

    /// Why the file was set aside and begun anew since the start; `None`: it wasn't.
    pub fn set_aside(&self) -> Option<String> {
        lock(&self.0).set_aside.clone()
    }

    /// `None`: the target was never told anything, or of another stream.
    pub async fn place(&self, target: &str, incidents: bool) -> Result<Option<Place>, LedgerError> {
        let target = target.to_owned();
        self.with(move |it| {
            let sql =
                "SELECT epoch, seq, replay_to, replayed_at, noted_at FROM place WHERE target = ? AND incidents = ?";
            let row = it.connection()?.query_row(sql, params![target, incidents], |row| {
                let place = Place {
                    cursor: Cursor { epoch: row.get(0)?, seq: unsigned(row.get(1)?) },
                    replay_to: unsigned(row.get(2)?),
                    replayed_at: Wall(row.get(3)?),
                };
                Ok((place, Wall(row.get(4)?)))
            });
            let Some((place, at)) = row.optional()? else { return Ok(None) };
            it.known.entry(target.clone()).or_default().place = Some((place, incidents, at));
            Ok(Some(place))
        })
        .await
    }

    pub async fn note(&self, target: &str, note: Note) -> Result<(), LedgerError> {
        let target = target.to_owned();
        self.with(move |it| {
            let Known { untidied, .. } = it.known.get(&target).copied().unwrap_or_default();
            let untidied = untidied + usize::from(note.taken.is_some());
            let is_due = untidied >= limits::NOTIFY_TIDY_EVERY;
            write(it.connection()?, &target, &note, is_due)?;
            let place = Some((note.place, note.incidents, note.at));
            it.known.insert(target.clone(), Known { place, untidied: if is_due { 0 } else { untidied } });
            Ok(())
        })
        .await
    }

    /// The messages about one alert or incident that a target took before an event.
    pub async fn chain(&self, target: &str, of: &str, before: Cursor) -> Result<Chain, LedgerError> {
        let (target, of) = (target.to_owned(), of.to_owned());
        self.with(move |it| {
            let sql = "SELECT epoch, seq, kind, sent FROM message WHERE target = ? AND chain = ? AND (epoch, seq) < (?, ?) \
                       ORDER BY epoch, seq LIMIT ?";
            let mut query = it.connection()?.prepare_cached(sql)?;
            let most = i64::try_from(limits::CAP_EXPORT_EVENTS).unwrap_or(i64::MAX);
            let mut rows = query.query(params![target, of, before.epoch, signed(before.seq), most])?;
            let mut chain = Chain::default();
            while let Some(row) = rows.next()? {
                let cursor = Cursor { epoch: row.get(0)?, seq: unsigned(row.get(1)?) };
                chain.push(Earlier { cursor, sent: Wall(row.get(3)?) }, kind(row.get(2)?));
            }
            Ok(chain)
        })
        .await
    }

    /// Newest first.
    pub async fn deliveries(&self, target: &str, given_up_only: bool) -> Result<Vec<Delivery>, LedgerError> {
        let target = target.to_owned();
        self.with(move |it| {
            let sql = "SELECT epoch, seq, delivered, reason, detail, attempts, happened_at, done_at FROM delivery \
                       WHERE target = ? AND delivered <= ? ORDER BY n DESC";
            let mut query = it.connection()?.prepare_cached(sql)?;
            let rows = query.query_map(params![target, !given_up_only], |row| {
                Ok(Delivery {
                    cursor: Cursor { epoch: row.get(0)?, seq: unsigned(row.get(1)?) },
                    outcome: if row.get(2)? { Outcome::Delivered } else { Outcome::GivenUp },
                    reason: row.get(3)?,
                    detail: row.get(4)?,
                    attempts: row.get(5)?,
                    happened_at: Wall(row.get(6)?),
                    done_at: Wall(row.get(7)?),
                })
            });
            Ok(rows?.collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn with<T: Send + 'static>(
        &self,
        work: impl Fn(&mut File) -> Result<T, LedgerError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let file = Arc::clone(&self.0);
        let work = move || lock(&file).mending(work);
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(LedgerError::Task(error.to_string())))
    }
}

/// A panic while the lock was held can't have left half a transaction: what is dropped is rolled back.
fn lock(file: &Mutex<File>) -> MutexGuard<'_, File> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(it: &mut Connection, target: &str, note: &Note, is_tidied: bool) -> Result<(), LedgerError> {
    let transaction = it.transaction()?;
    put_place(&transaction, target, note.place, note.incidents, note.at)?;
    if let Some(delivery) = &note.delivery {
        add(&transaction, target, delivery)?;
    }
    if let Some(Taken { chain, message, kind }) = &note.taken {
        let Cursor { epoch, seq } = message.cursor;
        transaction
            .prepare_cached("INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, FALSE)")?
            .execute(params![target, chain, epoch, signed(seq), number(*kind), message.sent.ms()])?;
        if *kind == MessageKind::Cancel {
            transaction
                .prepare_cached(
                    "UPDATE message SET is_over = TRUE WHERE target = ? AND chain = ? AND (epoch, seq) <= (?, ?)",
                )?
                .execute(params![target, chain, epoch, signed(seq)])?;
        }
    }
    if is_tidied {
        tidy(&transaction, target, note.at)?;
    }
    Ok(transaction.commit()?)
}

fn put_place(it: &Connection, target: &str, place: Place, incidents: bool, at: Wall) -> rusqlite::Result<()> {
    let Place { cursor, replay_to, replayed_at } = place;
    it.prepare_cached("INSERT OR REPLACE INTO place VALUES (?, ?, ?, ?, ?, ?, ?)")?.execute(params![
        target,
        cursor.epoch,
        signed(cursor.seq),
        incidents,
        signed(replay_to),
        replayed_at.ms(),
        at.ms(),
    ])?;
    Ok(())
}

fn add(it: &Connection, target: &str, delivery: &Delivery) -> Result<(), LedgerError> {
    let delivered = delivery.outcome == Outcome::Delivered;
    it.prepare_cached(
        "INSERT INTO delivery (target, epoch, seq, delivered, reason, detail, attempts, happened_at, done_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute(params![
        target,
        delivery.cursor.epoch,
        signed(delivery.cursor.seq),
        delivered,
        delivery.reason,
        delivery.detail,
        delivery.attempts,
        delivery.happened_at.ms(),
        delivery.done_at.ms(),
    ])?;
    let most = if delivered { limits::NOTIFY_DELIVERIES } else { limits::NOTIFY_GIVEN_UP };
    it.prepare_cached(
        "DELETE FROM delivery WHERE target = ?1 AND delivered = ?2 AND n <= \
         (SELECT n FROM delivery WHERE target = ?1 AND delivered = ?2 ORDER BY n DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute(params![target, delivered, i64::try_from(most).unwrap_or(i64::MAX)])?;
    Ok(())
}

/// Lets go of messages that nothing refers to any more, and of the oldest beyond the bound.
fn tidy(it: &Connection, target: &str, now: Wall) -> Result<(), LedgerError> {
    let before = now - limits::NOTIFY_CHAIN_MS;
    it.execute("DELETE FROM message WHERE target = ? AND is_over AND sent < ?", params![target, before.ms()])?;
    let most = i64::try_from(limits::NOTIFY_CHAINED).unwrap_or(i64::MAX);
    it.execute(
        "DELETE FROM message WHERE target = ?1 AND rowid <= \
         (SELECT rowid FROM message WHERE target = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)",
        params![target, most],
    )?;
    Ok(())
}

fn forget(it: &Connection, targets: &[&str], now: Wall) -> Result<(), LedgerError> {
    let before = now - 7 * 24 * 3_600_000;
    let mut known = it.prepare("SELECT target FROM place WHERE noted_at < ?")?;
    let old: Vec<String> = known.query_map([before.ms()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for target in old.iter().filter(|target| !targets.contains(&target.as_str())) {
        for table in ["place", "delivery", "message"] {
            it.execute(&format!("DELETE FROM {table} WHERE target = ?"), [target])?;
        }
    }
    Ok(())
}

/// SQLite's integers have a sign; seqs never reach it.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or_default()
}

fn number(kind: MessageKind) -> i64 {
    match kind {
        MessageKind::Alert => 1,
        MessageKind::Update => 2,
        MessageKind::Cancel => 3,
    }
}

fn kind(number: i64) -> MessageKind {
    match number {
        1 => MessageKind::Alert,
        3 => MessageKind::Cancel,
        _ => MessageKind::Update,
    }
}

#[cfg(test)]
mod tests;
