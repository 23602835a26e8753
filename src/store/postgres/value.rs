//! Values as PostgreSQL sends and takes them in binary.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::model::time::{CivilDay, Wall};
use crate::store::StoreError;
use crate::store::columns::{Columns, Value};

type Failed = Box<dyn Error + Sync + Send>;

/// 2000-01-01, from which PostgreSQL counts.
const EPOCH_MS: i64 = 946_684_800_000;
const EPOCH_DAYS: i32 = 10_957;

impl ToSql for Value<'_> {
    /// The type is the value's own; it must be that of the column.
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Failed> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Small(number) => out.put_i16(*number),
            Self::Int(number) => out.put_i32(*number),
            Self::Big(number) => out.put_i64(*number),
            Self::Bool(truth) => out.put_u8(u8::from(*truth)),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Bytes(bytes) => out.put_slice(bytes),
            Self::Blob(bytes) => out.put_slice(bytes),
            // The ends of the range are PostgreSQL's -infinity and infinity.
            Self::Time(at) => out.put_i64(at.ms().saturating_sub(EPOCH_MS).saturating_mul(1_000)),
            Self::Day(day) => out.put_i32(day.0.saturating_sub(EPOCH_DAYS)),
            Self::Codes(codes) => {
                let codes: Vec<_> = codes.iter().copied().map(i64::from).collect();
                return codes.to_sql(&Type::INT8_ARRAY, out);
            }
            Self::Texts(texts) => return texts.to_sql(&Type::TEXT_ARRAY, out),
            Self::Json(text) => {
                out.put_u8(JSONB_VERSION);
                out.put_slice(text.as_bytes());
            }
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

const JSONB_VERSION: u8 = 1;

struct Stamp(Wall);

impl<'a> FromSql<'a> for Stamp {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        let since_2000_us = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Wall(since_2000_us.div_euclid(1_000).saturating_add(EPOCH_MS))))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

struct Date(CivilDay);

impl<'a> FromSql<'a> for Date {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        Ok(Self(CivilDay(i32::from_be_bytes(raw.try_into()?).saturating_add(EPOCH_DAYS))))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::DATE
    }
}

struct JsonText(String);

impl<'a> FromSql<'a> for JsonText {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Failed> {
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(Self(std::str::from_utf8(text)?.to_owned())),
            _ => Err("a form of jsonb that is not known".into()),
        }
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

/// Reads a row from its first column to its last.
pub(super) struct RowColumns<'a> {
    row: &'a Row,
    next: usize,
    what: &'static str,
}

impl<'a> RowColumns<'a> {
    pub(super) fn new(row: &'a Row, what: &'static str) -> Self {
        Self { row, next: 0, what }
    }

    fn get<T: FromSql<'a>>(&mut self) -> Result<Option<T>, StoreError> {
        self.next += 1;
        let wrong = |error: tokio_postgres::Error| StoreError::corrupt(self.what, error);
        self.row.try_get(self.next - 1).map_err(wrong)
    }
}

impl Columns for RowColumns<'_> {
    fn what(&self) -> &'static str {
        self.what
    }

    fn small(&mut self) -> Result<Option<i16>, StoreError> {
        self.get()
    }

    fn int(&mut self) -> Result<Option<i32>, StoreError> {
        self.get()
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
        Ok(self.get()?.unwrap_or_default())
    }

    fn time(&mut self) -> Result<Option<Wall>, StoreError> {
        Ok(self.get::<Stamp>()?.map(|stamp| stamp.0))
    }

    fn day(&mut self) -> Result<Option<CivilDay>, StoreError> {
        Ok(self.get::<Date>()?.map(|date| date.0))
    }

    fn codes(&mut self) -> Result<Vec<u32>, StoreError> {
        let codes = self.get::<Vec<i64>>()?.unwrap_or_default();
        let narrow = |code| u32::try_from(code).map_err(|error| StoreError::corrupt(self.what, error));
        codes.into_iter().map(narrow).collect()
    }

    fn texts(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(self.get()?.unwrap_or_default())
    }

    fn json(&mut self) -> Result<Option<String>, StoreError> {
        Ok(self.get::<JsonText>()?.map(|json| json.0))
    }
}
