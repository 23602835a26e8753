//! What other rules would have made of what is stored (`vigil rules backtest`).
//!
//! Pure: frames and what people did come in, lift by lift, and differences go out. Where they come from is not here.
//!
//! The frames go through the rules in question, and likewise through those in force. A difference from what was raised
//! that both show is none of the rules' making: the frames don't tell all that the service went by.

mod alerts;
mod arrivals;
mod lift;
mod matching;
mod rescues;
mod rules;
mod span;
mod tally;

pub use alerts::{Alert, Alerts, Told};
pub use arrivals::Arrivals;
pub use lift::{Act, LiftReplay};
pub use matching::{Change, Compared, Difference, TOLERANCE_MS, compare};
pub use rescues::{Ending, Rescue, Rescues, Told as ToldRescue, hold};
pub use rules::{In, Rules};
pub use span::Span;
pub use tally::{Shifts, Tallies, Tally};
