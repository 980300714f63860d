//! The table of programs: `categories.tsv`, compiled in and sorted by the bytes of its names.

use std::sync::LazyLock;

use karo_protocol::Category;

static TABLE: LazyLock<Vec<(&'static [u8], Category)>> = LazyLock::new(|| {
    let mut rows: Vec<_> = include_str!("categories.tsv").lines().filter_map(row).collect();
    rows.sort_unstable_by_key(|(name, _)| *name);
    rows
});

/// Reads `name TAB category TAB source`; a test holds that every row of the file is one.
fn row(line: &'static str) -> Option<(&'static [u8], Category)> {
    let mut fields = line.split('\t');
    let name = fields.next()?.as_bytes();
    let category = fields.next()?.parse().ok()?;
    Some((name, category))
}

/// Returns the category of a program, by its name, its name without a version, or its family.
pub(super) fn category(name: &[u8]) -> Option<Category> {
    find(name).or_else(|| find(without_version(name))).or_else(|| family(name))
}

fn find(name: &[u8]) -> Option<Category> {
    TABLE.binary_search_by_key(&name, |(row, _)| *row).ok().map(|index| TABLE[index].1)
}

/// Turns `python3.12`, `gcc-14` and `notepad.exe` into the name that the table knows.
fn without_version(name: &[u8]) -> &[u8] {
    let name = name.strip_suffix(b".exe").unwrap_or(name);
    let end =
        name.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.').map_or(0, |last| last + 1);
    let stem = &name[..end];
    if end < name.len() { stem.strip_suffix(b"-").unwrap_or(stem) } else { stem }
}

/// Looks for the longest family that the name belongs to: `git-foo` is of `git-*`.
fn family(name: &[u8]) -> Option<Category> {
    // The longest family in the table has some twenty bytes: a longer prefix need not be tried.
    let head = &name[..name.len().min(32)];
    let joints = (1..head.len()).rev().filter(|at| matches!(head[at - 1], b'-' | b'.' | b'_'));
    joints.into_iter().find_map(|at| {
        let mut pattern = head[..at].to_vec();
        pattern.push(b'*');
        find(&pattern)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_well_formed_sorted_and_known_once() {
        let lines: Vec<_> = include_str!("categories.tsv").lines().collect();
        assert!(lines.len() > 4000);
        for line in &lines {
            assert_eq!(line.split('\t').count(), 3, "{line}");
            assert!(row(line).is_some(), "{line}");
        }
        assert!(lines.is_sorted_by_key(|line| line.split('\t').next().unwrap()));
        assert!(TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn versions_and_families_find_their_row() {
        assert_eq!(category(b"python3.12"), Some(Category::Runtime));
        assert_eq!(category(b"gcc-14"), Some(Category::Build));
        assert_eq!(category(b"php8.2"), Some(Category::Runtime));
        assert_eq!(category(b"git-frobnicate"), Some(Category::Vcs));
        assert_eq!(category(b"mkfs.reiserfs"), Some(Category::System));
        assert_eq!(category(b"deploy.sh"), None);
        assert_eq!(category(b"2048"), None);
        assert_eq!(category(b""), None);
    }
}
