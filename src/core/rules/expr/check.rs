use super::{Expr, Fault};
use crate::core::rules::Family;

pub(in crate::core::rules) struct Scope {
    pub(in crate::core::rules) family: Family,
}

pub(in crate::core::rules) fn compile(_text: &str, _scope: &mut Scope) -> Result<Expr, Vec<Fault>> {
    Err(Vec::new())
}
