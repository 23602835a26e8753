//! Values as SQLite keeps them, and errors as SQLite reports them.

use rusqlite::types::{FromSql, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, Row};

use crate::model::time::{CivilDay, Wall};
use crate::store::StoreError;
use crate::store::columns::{Columns, Value};

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let owned = |text: String| ToSqlOutput::Owned(text.into());
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Small(number) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*number))),
            Self::Int(number) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*number))),
            Self::Big(number) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Self::Bool(truth) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*truth))),
            Self::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Self::Bytes(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Self::Time(at) => ToSqlOutput::Borrowed(ValueRef::Integer(at.ms())),
            Self::Day(day) => owned(day.to_string()),
            Self::Codes(codes) => owned(list_text(codes)),
            Self::Texts(texts) => owned(list_text(texts)),
            Self::Json(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
        })
    }
}

fn list_text(list: &impl serde::Serialize) -> String {
    serde_json::to_string(list).expect("texts and integers always have a JSON form")
}

/// Reads a row from its first column to its last.
pub(super) struct RowColumns<'a> {
    row: &'a Row<'a>,
    next: usize,
    what: &'static str,
}

impl<'a> RowColumns<'a> {
    pub(super) fn new(row: &'a Row<'a>, what: &'static str) -> Self {
        Self { row, next: 0, what }
    }

    fn get<T: FromSql>(&mut self) -> Result<T, StoreError> {
        self.next += 1;
        self.row.get(self.next - 1).map_err(|error| StoreError::corrupt(self.what, error))
    }

    fn list<T: serde::de::DeserializeOwned>(&mut self) -> Result<Vec<T>, StoreError> {
        let Some(text) = self.get::<Option<String>>()? else { return Ok(Vec::new()) };
        serde_json::from_str(&text).map_err(|error| StoreError::corrupt(self.what, error))
    }
}

impl Columns for RowColumns<'_> {
    fn what(&self) -> &'static str {
        self.what
    }

    fn small(&mut self) -> Result<Option<i16>, StoreError> {
        (self as &mut dyn Columns).number()
    }

    fn int(&mut self) -> Result<Option<i32>, StoreError> {
        (self as &mut dyn Columns).number()
    }

    fn big(&mut self) -> Result<Option<i64>, StoreError> {
        self.get()
    }

    fn bool(&mut self) -> Result<Option<bool>, StoreError> {
        self.get()
    }

    fn text(&mut self) -> Result<Option<String>, StoreError> {
        self.get()
    }

    fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.get()
    }

    fn time(&mut self) -> Result<Option<Wall>, StoreError> {
        Ok(self.get::<Option<i64>>()?.map(Wall))
    }

    fn day(&mut self) -> Result<Option<CivilDay>, StoreError> {
        (self as &mut dyn Columns).parsed(|text| CivilDay::parse(text).ok_or("no date"))
    }

    fn codes(&mut self) -> Result<Vec<u32>, StoreError> {
        self.list()
    }

    fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        self.list()
    }

    fn json(&mut self) -> Result<Option<String>, StoreError> {
        self.get()
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::SystemIoFailure
                | ErrorCode::DiskFull
                | ErrorCode::CannotOpen
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted,
            ) => Self::unavailable(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::corrupt("what is", error),
            _ => Self::refused(error),
        }
    }
}

/// Whether it is this row's own fault, and others may still be stored.
pub(super) fn is_the_rows_fault(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::TooBig | ErrorCode::TypeMismatch))
}
