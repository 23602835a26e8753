//! The service as a process, killed, stopped and started in the midst of its work, with a real broker and database.

mod support;

#[path = "kill/books.rs"]
mod books;
#[path = "kill/crashes.rs"]
mod crashes;
#[path = "kill/stops.rs"]
mod stops;
