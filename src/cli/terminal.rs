//! Where commands write to.

use std::io::{self, IsTerminal as _, Write};

/// Output for programs and people on `out`, notices on `err`.
pub struct Terminal {
    pub out: Box<dyn Write + Send>,
    pub err: Box<dyn Write + Send>,
    /// Colours on `out`.
    pub colour: bool,
    /// Progress bars on the real standard error.
    pub progress: bool,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal")
            .field("colour", &self.colour)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}

impl Terminal {
    /// That of this process. Colours only for people who haven't said `NO_COLOR`.
    pub fn of_process() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            colour: wanted && io::stdout().is_terminal(),
            progress: io::stderr().is_terminal(),
        }
    }

    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    pub(super) fn notice(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.err, "{line}")?;
        self.err.flush()
    }
}
