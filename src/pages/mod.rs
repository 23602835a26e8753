//! What the core has published, readable without the database.

mod board;
mod filter;

pub use board::{Board, Gap, Listing, Place};
pub use filter::Filter;
