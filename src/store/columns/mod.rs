//! How rows become columns and columns rows, once for both databases.
//!
//! Each row kind names its columns, pushes one [`Value`] a column in that order, and reads them back in that order
//! from [`Columns`]. What a column is called and means stands in the migrations, for people who query with SQL.

pub(super) mod alert;
pub(super) mod archive;
pub(super) mod frame;
pub(super) mod incident;
pub(super) mod json;
pub(super) mod misc;
pub(super) mod obligation;
pub(super) mod scan;
pub(super) mod visit;

use std::borrow::Cow;

use super::StoreError;
use crate::model::row::{Order, TimeSource};
use crate::model::time::{CivilDay, Wall};

/// A value on its way into a column.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Null,
    Small(i16),
    Int(i32),
    Big(i64),
    Bool(bool),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
    Blob(Vec<u8>),
    Time(Wall),
    Day(CivilDay),
    Codes(&'a [u32]),
    Texts(Vec<Cow<'a, str>>),
    Json(String),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    pub(super) fn text_or_null(text: &'a Option<Box<str>>) -> Self {
        text.as_deref().map_or(Self::Null, Self::text)
    }

    pub(super) fn time_or_null(at: Option<Wall>) -> Self {
        at.map_or(Self::Null, Self::Time)
    }

    pub(super) fn day_or_null(day: Option<CivilDay>) -> Self {
        day.map_or(Self::Null, Self::Day)
    }

    pub(super) fn u32_or_null(number: Option<u32>) -> Self {
        number.map_or(Self::Null, Self::from)
    }

    /// An empty list is NULL: most lists of most frames are empty, and NULL takes no room.
    pub(super) fn texts(list: &'a [Box<str>]) -> Self {
        Self::list(list.iter().map(|text| Cow::Borrowed(&**text)).collect())
    }

    pub(super) fn list(list: Vec<Cow<'a, str>>) -> Self {
        if list.is_empty() { Self::Null } else { Self::Texts(list) }
    }

    pub(super) fn codes(codes: &'a [u32]) -> Self {
        if codes.is_empty() { Self::Null } else { Self::Codes(codes) }
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Big(i64::from(number))
    }
}

/// A value that no column can hold; decoding should have refused it.
#[derive(Debug)]
pub(super) struct Unfit {
    pub column: &'static str,
    pub value: u64,
}

impl Unfit {
    /// What PostgreSQL would have said: numeric value out of range.
    pub(super) const SQLSTATE: &'static str = "22003";
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is {}, more than 2^63 - 1", self.column, self.value)
    }
}

/// A number that must fit a `bigint`.
pub(super) fn big(column: &'static str, value: u64) -> Result<Value<'static>, Unfit> {
    i64::try_from(value).map(Value::Big).map_err(|_| Unfit { column, value })
}

/// A stored row, read column by column from the first to the last.
pub(super) trait Columns {
    /// What the row is, for errors.
    fn what(&self) -> &'static str;
    fn small(&mut self) -> Result<Option<i16>, StoreError>;
    fn int(&mut self) -> Result<Option<i32>, StoreError>;
    fn big(&mut self) -> Result<Option<i64>, StoreError>;
    fn bool(&mut self) -> Result<Option<bool>, StoreError>;
    fn text(&mut self) -> Result<Option<String>, StoreError>;
    fn bytes(&mut self) -> Result<Vec<u8>, StoreError>;
    fn time(&mut self) -> Result<Option<Wall>, StoreError>;
    fn day(&mut self) -> Result<Option<CivilDay>, StoreError>;
    fn codes(&mut self) -> Result<Vec<u32>, StoreError>;
    fn texts(&mut self) -> Result<Vec<String>, StoreError>;
    fn json(&mut self) -> Result<Option<String>, StoreError>;
}

/// How a row kind is read.
pub(super) type Read<T> = fn(&mut dyn Columns) -> Result<T, StoreError>;

impl dyn Columns + '_ {
    pub(super) fn number<N: TryFrom<i64>>(&mut self) -> Result<Option<N>, StoreError> {
        let Some(number) = self.big()? else { return Ok(None) };
        let wrong = |_| StoreError::corrupt(self.what(), format!("{number} is out of range"));
        N::try_from(number).map(Some).map_err(wrong)
    }

    /// A text that must have the form of a code, a name or the like.
    pub(super) fn parsed<T, E: ToString>(
        &mut self,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.text()? else { return Ok(None) };
        parse(&text).map(Some).map_err(|error| StoreError::corrupt(self.what(), error))
    }

    /// A text that must be one of a closed set.
    fn named<T>(&mut self, from_name: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
        let name = self.text()?;
        name.as_deref().and_then(from_name).ok_or_else(|| StoreError::corrupt(self.what(), format!("name {name:?}")))
    }

    fn boxed(&mut self) -> Result<Option<Box<str>>, StoreError> {
        Ok(self.text()?.map(Into::into))
    }

    fn boxes(&mut self) -> Result<Vec<Box<str>>, StoreError> {
        Ok(self.texts()?.into_iter().map(Into::into).collect())
    }

    /// For columns that are NOT NULL.
    fn present<T>(&self, value: Option<T>) -> Result<T, StoreError> {
        value.ok_or_else(|| StoreError::corrupt(self.what(), "NULL where a value must be"))
    }
}

/// `a, b, c`, for SQL.
pub(super) fn names(columns: &[&str]) -> String {
    columns.join(", ")
}

pub(super) fn order_number(order: Order) -> i16 {
    match order {
        Order::Newer => 1,
        Order::Late => 2,
        Order::VeryLate => 3,
    }
}

fn order_from(number: i16) -> Option<Order> {
    [Order::Newer, Order::Late, Order::VeryLate].into_iter().find(|order| order_number(*order) == number)
}

fn time_source_number(source: TimeSource) -> i16 {
    match source {
        TimeSource::Claimed => 1,
        TimeSource::Absent => 2,
        TimeSource::Wrong => 3,
    }
}

fn time_source_from(number: i16) -> Option<TimeSource> {
    let all = [TimeSource::Claimed, TimeSource::Absent, TimeSource::Wrong];
    all.into_iter().find(|source| time_source_number(*source) == number)
}

fn order(columns: &mut dyn Columns) -> Result<Order, StoreError> {
    let number = columns.small()?;
    number.and_then(order_from).ok_or_else(|| StoreError::corrupt(columns.what(), format!("order {number:?}")))
}

fn time_source(columns: &mut dyn Columns) -> Result<TimeSource, StoreError> {
    let number = columns.small()?;
    number
        .and_then(time_source_from)
        .ok_or_else(|| StoreError::corrupt(columns.what(), format!("time source {number:?}")))
}
