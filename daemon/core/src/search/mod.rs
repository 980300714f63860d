//! Finding events again: what is kept in memory of each, and how it is searched.
//!
//! Distinct texts lie packed in lower case, end to end; every other field is a column of narrow
//! numbers, in chunks ordered by time. A question is judged row by row from the end it asks about;
//! its words are looked for in the distinct texts, each read at most once.
//!
//! | file | holds |
//! | --- | --- |
//! | `change` | what the store says: rows that came, ended, went, or lie elsewhere |
//! | `columns`, `purge` | all rows, and how changes come in and leave no trace |
//! | `chunk`, `column` | a run of rows, one array for each field |
//! | `assessment` | what rules say of an event, as one string |
//! | `texts`, `dictionary`, `shells`, `index` | what many rows share, each kept once |
//! | `beside` | what does not fit into a row, or waits for one |
//! | `plan`, `words` | a filter, ready for the rows as they are |
//! | `page`, `count` | the answers |
//! | `tabulate` | rows as numbers, for groups and for unusual days |
//!
//! It does not know the log, ids of events, or files: the store says what changed, and answers for
//! ids. It does not rank: the order is always (start, position).

mod assessment;
mod beside;
mod change;
mod chunk;
mod column;
mod columns;
mod count;
mod counted;
mod dictionary;
mod index;
mod page;
mod plan;
mod purge;
mod shells;
mod tabulate;
#[cfg(test)]
mod tests;
mod texts;
mod words;

pub use change::{Batch, BriefOutcome, Change, Entry, Key, Position};
pub use columns::{Columns, Stats};
pub use page::{Cursor, Hit, Page};
pub use tabulate::{CountedRow, UnusualDay};
