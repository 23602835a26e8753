//! The table that a run fills: what was measured, beside its floor and its budget.

use std::fmt;

/// What is asked of a figure.
#[derive(Clone, Copy)]
pub enum Budget {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    AtMost(f64),
    AtLeast(f64),
}

pub struct Row {
    part: &'static str,
    name: String,
    unit: &'static str,
    ours: f64,
    floor: Option<f64>,
    budget: Option<Budget>,
}

/// Rows in the order of their parts, and what has to be said about them.
#[derive(Default)]
pub struct Table {
    part: &'static str,
    rows: Vec<Row>,
    notes: Vec<String>,
}

impl Table {
    /// What follows belongs to `part`.
    pub fn begin(&mut self, part: &'static str) {
        self.part = part;
    }

    pub fn row(&mut self, name: impl Into<String>, unit: &'static str, ours: f64) -> &mut Row {
        let row = Row { part: self.part, name: name.into(), unit, ours, floor: None, budget: None };
        eprintln!("  {}: {} {unit}", row.name, Figure(ours));
        self.rows.push(row);
        self.rows.last_mut().expect("it was just pushed")
    }

    pub fn note(&mut self, note: impl Into<String>) {
        let note = format!("{}: {}", self.part, note.into());
        eprintln!("  {note}");
        self.notes.push(note);
    }
}

impl Row {
    pub fn floor(&mut self, floor: f64) -> &mut Self {
        self.floor = Some(floor);
        self
    }

    pub fn budget(&mut self, budget: Budget) -> &mut Self {
        self.budget = Some(budget);
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.floor.map(|floor| self.ours / floor)
    }

    fn is_within(&self) -> Option<bool> {
        match self.budget? {
            Budget::RatioAtMost(most) => self.ratio().map(|ratio| ratio <= most),
            Budget::RatioAtLeast(least) => self.ratio().map(|ratio| ratio >= least),
            Budget::AtMost(most) => Some(self.ours <= most),
            Budget::AtLeast(least) => Some(self.ours >= least),
        }
    }
}

/// As Markdown, ready for docs/benchmarks.md.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| part | | ours | floor | ratio | budget | ok |")?;
        writeln!(f, "|---|---|---:|---:|---:|---|---|")?;
        let mut part = "";
        for row in &self.rows {
            let shown = if row.part == part { "" } else { row.part };
            part = row.part;
            writeln!(f, "| {shown} {row}")?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "- {note}"))
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_nothing = |value: Option<f64>| value.map_or_else(String::new, |value| Figure(value).to_string());
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let budget = match self.budget {
            None => String::new(),
            Some(Budget::RatioAtMost(most)) => format!("ratio ≤ {most}"),
            Some(Budget::RatioAtLeast(least)) => format!("ratio ≥ {least}"),
            Some(Budget::AtMost(most)) => format!("≤ {} {}", Figure(most), self.unit),
            Some(Budget::AtLeast(least)) => format!("≥ {} {}", Figure(least), self.unit),
        };
        let ok = self.is_within().map_or("", |is_within| if is_within { "yes" } else { "**no**" });
        let (ours, floor, unit) = (Figure(self.ours), or_nothing(self.floor), self.unit);
        write!(f, "| {} | {ours} {unit} | {floor} | {ratio} | {budget} | {ok} |", self.name)
    }
}

/// Three digits, or whole numbers with their thousands apart.
struct Figure(f64);

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        match value.abs() {
            size if size < 9.995 => write!(f, "{value:.2}"),
            size if size < 99.95 => write!(f, "{value:.1}"),
            _ => {
                let digits = format!("{value:.0}");
                for (at, digit) in digits.char_indices() {
                    if at > 0 && (digits.len() - at).is_multiple_of(3) {
                        write!(f, ",")?;
                    }
                    write!(f, "{digit}")?;
                }
                Ok(())
            }
        }
    }
}
