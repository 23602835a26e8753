//! All that is wrong with a request, told at once.

use std::fmt::Display;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

#[derive(Debug, Default)]
pub(super) struct Violations(pub(super) Vec<Violation>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) field: String,
    pub(super) why: String,
}

impl Violations {
    pub(super) fn add(&mut self, field: impl Into<String>, why: impl Display) {
        self.0.push(Violation { field: field.into(), why: why.to_string() });
    }

    /// The value, or `None` and its error noted.
    pub(super) fn take<T, E: Display>(&mut self, field: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    /// Ends the call with INVALID_ARGUMENT if anything is wrong.
    pub(super) fn check(&self) -> Result<(), Status> {
        if self.0.is_empty() {
            return Ok(());
        }
        let message: Vec<_> = self.0.iter().map(|v| format!("{}: {}", v.field, v.why)).collect();
        let fields: Vec<_> = self.0.iter().map(|v| FieldViolation::new(&v.field, &v.why)).collect();
        let details = ErrorDetails::with_bad_request(fields);
        Err(Status::with_error_details(Code::InvalidArgument, message.join("; "), details))
    }

    /// A text of 1 to `chars` characters without control characters.
    pub(super) fn text(&mut self, field: &str, text: &str, chars: usize) -> Option<Box<str>> {
        let count = text.chars().count();
        if count == 0 {
            self.add(field, "is missing");
        } else if count > chars {
            self.add(field, format!("has {count} characters: at most {chars} are taken"));
        } else if text.chars().any(char::is_control) {
            self.add(field, "holds control characters, such as a line break: leave them out");
        } else {
            return Some(text.into());
        }
        None
    }

    /// As [`Self::text`], but it may be empty, which is `None`.
    pub(super) fn optional_text(&mut self, field: &str, text: &str, chars: usize) -> Option<Box<str>> {
        if text.is_empty() { None } else { self.text(field, text, chars) }
    }

    /// A code that may be empty, which is `None`.
    pub(super) fn optional<T, E: Display>(
        &mut self,
        field: &str,
        text: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if text.is_empty() { None } else { self.take(field, parse(text)) }
    }
}
