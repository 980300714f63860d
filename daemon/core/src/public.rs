//! The list of public tools: programs that everybody may know that somebody runs.
//!
//! It is made of the category table: its rows of one word, which name no family and no variable. A name that a person
//! gave to a program of their own is not in it, and counts as one of the others of its category, wherever numbers
//! leave this machine. Nothing else makes a [`ToolName`] of a recorded name.

use karo_protocol::Category;
use karo_protocol::group::ToolName;

use crate::classify::table_category;

/// Returns the name as one that may leave this machine; `None` for a program that is not on the list.
pub fn public(name: &str) -> Option<ToolName> {
    table_category(name.as_bytes())?;
    #[expect(clippy::disallowed_methods, reason = "the table has a row of exactly that name")]
    ToolName::new(name)
}

/// Returns the category of the list for a tool; `None` when it is not on the list.
pub fn category_of(tool: &ToolName) -> Option<Category> {
    table_category(tool.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_table_are_public() {
        for (name, category) in [
            ("git", Category::Vcs),
            ("make", Category::Build),
            ("g++", Category::Build),
            ("psql", Category::Database),
            ("[", Category::Shell),
        ] {
            let tool = public(name).unwrap_or_else(|| panic!("{name} is not public"));
            assert_eq!((tool.as_str(), category_of(&tool)), (name, Some(category)));
        }
    }

    /// Families match names that people make up, and a longer row would tell an argument.
    #[test]
    fn what_a_person_named_is_not_public() {
        for name in [
            "",
            "acme-merger-2027",
            "git-acme-merger",
            "mkfs.acme",
            "deploy-acme.sh",
            "mkfs.*",
            "*.sh",
            "git-*",
            "$EDITOR",
            "python -m http.server",
            "git push",
            "/usr/bin/git",
            "./git",
            "GIT",
            "git\0ls",
            "git\n",
        ] {
            assert_eq!(public(name), None, "{name:?}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a name as it comes off the wire")]
    fn a_tool_off_the_wire_has_a_category_only_if_it_is_on_the_list() {
        let category = |name| category_of(&ToolName::new(name).unwrap());
        assert_eq!(category("git"), Some(Category::Vcs));
        assert_eq!(category("acme-merger-2027"), None);
    }
}
