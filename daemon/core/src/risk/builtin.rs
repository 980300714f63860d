//! Karo's own rules, as they are compiled in: `pack/NAME/rule.yml`, in the order of their names.

use super::RuleFile;

include!(concat!(env!("OUT_DIR"), "/pack.rs"));

/// Returns the files of the built-in pack.
pub(super) fn files() -> impl Iterator<Item = RuleFile<'static>> {
    PACK.iter().map(|rule| RuleFile { path: rule.path, text: rule.text.as_bytes() })
}

/// One rule of the pack.
struct Packed {
    path: &'static str,
    text: &'static str,
    /// Lines that it must match, and lines that it must not; `\n` stands for a newline.
    #[cfg(test)]
    lines: (&'static str, &'static str),
}

/// Returns for each rule its path, what it must match and what it must not.
#[cfg(test)]
pub(super) fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    PACK.iter().map(|rule| (rule.path, rule.lines.0, rule.lines.1))
}
