//! What a device's frames say about order, time and its present state; pure, one device at a time.

pub mod derived;
pub mod fields;
pub mod heard;
mod items;
pub mod offset;
pub mod order;
pub mod registers;
pub mod windows;
