//! Which of the runs of a line tells most about it.

use karo_protocol::Category;
use karo_protocol::explain::Context;

use super::decide::Decision;
use crate::line::{Line, Run};

/// Categories from the most to the least telling: what touches trust and other machines comes first, what
/// nearly every line does comes last.
const ORDER: [Category; 21] = [
    Category::Security,
    Category::Identity,
    Category::Cloud,
    Category::Container,
    Category::Remote,
    Category::Database,
    Category::Package,
    Category::System,
    Category::Network,
    Category::Vcs,
    Category::Build,
    Category::Runtime,
    Category::Process,
    Category::Archive,
    Category::Media,
    Category::Desktop,
    Category::Editor,
    Category::File,
    Category::Text,
    Category::Shell,
    Category::Other,
];

/// How telling a run is; the lesser comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Telling {
    /// By its place in [`ORDER`].
    Itself(usize),
    /// A program that the table knows, of no category.
    Known,
    /// It stands in a substitution, or what runs it tells more.
    Inner(usize),
    /// The shell's own, but its output is what the line is about: `history`, `env`.
    Shell,
    /// A text filter behind a pipe: what it reads tells more.
    Filter,
    /// `echo`, `cd`: hardly a line does without.
    Mute,
    /// It is there for what it runs: `xargs`, `nohup`.
    Wrapper,
    /// The same, but all that it adds are rights: `sudo`.
    Rights,
    /// Nobody knows.
    Unknown,
}

/// Returns the category of a line.
pub(super) fn category(line: &Line, decisions: &[Decision]) -> Category {
    let runs = line.runs.iter().zip(decisions);
    // Of two that tell the same, the first is taken: `min_by_key` does.
    let most = runs.min_by_key(|(run, decision)| telling(run, decision));
    // A line that runs nothing is assignments, keywords or a comment.
    most.map_or(Category::Shell, |(_, decision)| decision.category())
}

fn telling(run: &Run, decision: &Decision) -> Telling {
    let category = decision.category();
    let order = ORDER.iter().position(|one| *one == category).unwrap_or(ORDER.len());
    let is_fed = run.contexts.contains(Context::PipeIn);
    if decision.is_wrapping {
        if category == Category::Identity { Telling::Rights } else { Telling::Wrapper }
    } else if decision.reading.is_deaf && is_fed && run.parent.is_none() {
        Telling::Unknown
    } else if category == Category::Other {
        if decision.row.is_some() { Telling::Known } else { Telling::Unknown }
    } else if category == Category::Shell {
        if decision.reading.is_mute { Telling::Mute } else { Telling::Shell }
    } else if category == Category::Text && is_fed {
        Telling::Filter
    } else if run.contexts.contains(Context::Substitution) || decision.is_inner {
        Telling::Inner(order)
    } else {
        Telling::Itself(order)
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::category::CategorySet;

    use super::*;

    #[test]
    fn the_order_names_every_category_once() {
        let all: CategorySet = ORDER.into_iter().collect();
        assert_eq!(all.iter().count(), Category::ALL.len());
    }
}
