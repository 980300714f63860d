//! What kind of command a line is: a row of one table decides about each program that it runs.
//!
//! **The rule of a line.** A line is of the category of the run that stands highest in one fixed order, from
//! security and identity down to files, text and the shell's own, in which a run within a substitution, on another
//! machine, in a container or under a tracer counts only if all the others are the shell's own or unknown, a text
//! filter behind a pipe only if nothing but `echo` and its like feeds it, and a wrapper such as `sudo` only if it
//! runs nothing that is known.
//!
//! `categories.tsv` says which program is of which category, `programs.tsv` how its words are to be read.

mod decide;
mod table;
mod telling;
#[cfg(test)]
mod tests;

use karo_protocol::Category;
use karo_protocol::category::CategorySet;

use crate::line::Line;
use decide::Decision;

/// Names of programs kept of one line.
///
/// A page of 512 events has to stay below the 65,536 items that one payload may hold.
pub const TOOLS_MAX: usize = 16;

/// Length of a program's name, in bytes; what is longer is no name that anyone would look for.
pub const TOOL_BYTES_MAX: usize = 64;

/// What kind of command a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The category of the most telling run; [`Category::Shell`] if nothing is run but the shell's grammar.
    pub category: Category,
    /// Categories of all the programs, the most telling among them; never empty.
    pub categories: CategorySet,
    /// Names of the programs without their paths, in order, each once, [`TOOLS_MAX`] at most.
    pub tools: Vec<String>,
    /// What kind of command each run of the line is, in the order of its runs.
    pub runs: Vec<RunCategory>,
}

/// What kind of command one run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunCategory {
    /// The category of its row; [`Category::Other`] if there is none.
    pub category: Category,
    /// The row of the table that decided, as it stands there: `git push`, `docker`, `mkfs.*`; empty if there is none.
    pub row: &'static str,
    /// How sure the row is, in hundredths; 0 if there is none.
    pub confidence: u8,
}

/// Returns a number that stands for the tables: another number, other tables.
pub fn table_fingerprint() -> u32 {
    table::fingerprint()
}

/// Returns the category of the table's row of exactly that name.
pub(crate) fn table_category(name: &[u8]) -> Option<Category> {
    table::find(&table::Name::of(name)?).map(|row| row.category)
}

/// Classifies a line; parse it from redacted text, because a word of it may become a tool's name.
pub fn classify(line: &Line) -> Classified {
    let decisions = decide::decide(line);
    let category = telling::category(line, &decisions);
    let mut categories = CategorySet::default();
    let mut tools = Vec::new();
    for (run, decision) in line.runs.iter().zip(&decisions) {
        if !decision.is_wrapping {
            categories.insert(decision.category());
        }
        keep_tool(&mut tools, run.name());
    }
    categories.insert(category);
    let runs = decisions.iter().map(Decision::as_run).collect();
    Classified { category, categories, tools, runs }
}

fn keep_tool(tools: &mut Vec<String>, name: &[u8]) {
    if tools.len() >= TOOLS_MAX {
        return;
    }
    let Some(name) = tool_name(name) else { return };
    if !tools.iter().any(|tool| tool == name) {
        tools.push(name.to_owned());
    }
}

/// Returns the name as text when it looks like a program's: expansions, globs and markers do not.
fn tool_name(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= TOOL_BYTES_MAX)?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '@' | ',' | ':');
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}
