//! Running queries.

use rusqlite::{Connection, params_from_iter};

use super::value::RowColumns;
use crate::store::StoreError;
use crate::store::select::{Dialect, Select};

pub(super) const DIALECT: Dialect = Dialect {
    never: "-9223372036854775808",
    position_in_address: "instr(lower(address),",
    is_alias: "code IN (SELECT bears FROM cylinder_alias WHERE alias = $1)",
    frame_tables: &["frame", "late_frame", "evidence_frame"],
};

pub(super) fn page<T>(reader: &Connection, select: &Select<'_, T>) -> Result<Vec<T>, StoreError> {
    let mut statement = reader.prepare_cached(&numbered(&select.sql))?;
    let mut rows = statement.query(params_from_iter(&select.params))?;
    let mut page = Vec::new();
    while let Some(row) = rows.next()? {
        page.push((select.read)(&mut RowColumns::new(row, select.what))?);
    }
    Ok(page)
}

/// SQLite numbers parameters with a question mark; a dollar would name them.
pub(super) fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}
