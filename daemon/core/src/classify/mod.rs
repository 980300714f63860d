//! What kind of command a line is, by the names of the programs that it runs.
//!
//! It looks at names only: what arguments, substitutions and quoted scripts do is not looked into.

mod table;
#[cfg(test)]
mod tests;

use karo_protocol::Category;
use karo_protocol::category::CategorySet;

use crate::line::{Found as Run, for_each_run};

/// Names of programs kept of one line.
///
/// A page of 512 events has to stay below the 65,536 items that one payload may hold.
pub const TOOLS_MAX: usize = 16;

/// Length of a program's name, in bytes; what is longer is no name that anyone would look for.
pub const TOOL_BYTES_MAX: usize = 64;

/// Categories from the most to the least telling: what touches trust and other machines comes first, what
/// nearly every line does comes last.
const TELLING: [Category; 21] = [
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

/// What kind of command a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classified {
    /// The most telling of `categories`: the one that stands first in a fixed order from what touches trust
    /// and other machines down to what nearly every line does.
    pub category: Category,
    /// Categories of all the programs, the most telling among them; never empty.
    pub categories: CategorySet,
    /// Names of the programs without their paths, in order, each once, [`TOOLS_MAX`] at most.
    pub tools: Vec<String>,
}

/// Classifies a line; give it redacted text, because a word of it may become a tool's name.
///
/// Wrappers such as `sudo` are tools, and lend their category only to a line that runs nothing else.
pub fn classify(text: &[u8]) -> Classified {
    let mut categories = CategorySet::default();
    let mut tools = Vec::new();
    for_each_run(text, |run| match run {
        Run::Syntax => categories.insert(Category::Shell),
        Run::Wrapper { name, .. } => keep_tool(&mut tools, name),
        Run::Program { name, .. } => {
            categories.insert(table::category(name).unwrap_or(Category::Other));
            keep_tool(&mut tools, name);
        }
    });
    let category =
        TELLING.into_iter().find(|category| categories.contains(*category)).unwrap_or(Category::Other);
    categories.insert(category);
    Classified { category, categories, tools }
}

fn keep_tool(tools: &mut Vec<String>, name: &[u8]) {
    let Some(name) = tool_name(name) else { return };
    if tools.len() < TOOLS_MAX && !tools.iter().any(|tool| tool == name) {
        tools.push(name.to_owned());
    }
}

/// Returns the name as text when it looks like a program's: expansions, globs and markers do not.
fn tool_name(name: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(name).ok().filter(|name| name.len() <= TOOL_BYTES_MAX)?;
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+' | '@' | ',' | ':');
    (!name.is_empty() && name.chars().all(is_name)).then_some(name)
}
