//! The two tables, compiled in and sorted by the bytes of their names.
//!
//! `categories.tsv`: `name TAB category TAB confidence TAB source`, where a name is a program (`git`), a program
//! with the words that tell what it is to do (`python -m http.server`), all that begin alike (`mkfs.*`) or all
//! that end alike (`*.sh`). `programs.tsv`: `name TAB traits TAB options that take the next word TAB
//! options that are words of rows`.

use std::sync::LazyLock;

use karo_protocol::Category;

/// Length of a name that is looked for, in bytes; a test holds that no row is longer.
pub(super) const NAME_BYTES_MAX: usize = 64;

/// One row of `categories.tsv`, with what `programs.tsv` says about the same name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) category: Category,
    /// In hundredths.
    pub(super) confidence: u8,
    /// Whether there are rows of the same name with more words behind it.
    pub(super) has_more: bool,
    /// Which of the table's readings is its own; 0 is none.
    reading: u16,
}

impl Row {
    /// Returns how its words are to be read, if the table says anything about that.
    pub(super) fn reading(&self) -> Option<&'static Reading> {
        TABLE.readings.get(usize::from(self.reading.checked_sub(1)?))
    }
}

/// How the words of a program are to be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Whether it is there for what it runs: `sudo`, `xargs`.
    pub(super) is_wrapper: bool,
    /// Whether its first operand names the program that it is there for: `npx`, `poetry run`.
    pub(super) is_runner: bool,
    /// Whether its first operand is a script, whose name may tell more: `python`.
    pub(super) is_interpreter: bool,
    /// Whether it tells nothing about the line that it stands in: `echo`, `cd`.
    pub(super) is_mute: bool,
    /// Whether it reads no input, so that `name|id` is how a manual writes a choice, and no pipe.
    pub(super) is_deaf: bool,
    /// Whether it tells more than what it runs: `strace`.
    pub(super) is_telling: bool,
    /// Options whose value is the next word, separated by spaces.
    valued: &'static str,
    /// Options that are words of rows, separated by spaces.
    words: &'static str,
}

impl Reading {
    /// Nothing special: options take no value, and what stands behind it is its own.
    pub(super) const NONE: Self = Self {
        is_wrapper: false,
        is_runner: false,
        is_interpreter: false,
        is_mute: false,
        is_deaf: false,
        is_telling: false,
        valued: "",
        words: "",
    };

    /// Tells whether the option's value is the next word.
    pub(super) fn takes_value(&self, option: &[u8]) -> bool {
        self.valued.split(' ').any(|valued| valued.as_bytes() == option)
    }

    /// Tells whether the option is a word of the program's rows: `python -m`.
    pub(super) fn is_word(&self, option: &[u8]) -> bool {
        self.words.split(' ').any(|word| word.as_bytes() == option)
    }
}

/// All rows, sorted, and where those of each first byte begin: most names are found among a few.
struct Table {
    rows: Vec<Row>,
    readings: Vec<Reading>,
    /// One more than there are bytes: the rows of byte `b` end where those of `b + 1` begin.
    begins: [usize; 257],
}

/// Returns a number that stands for the tables: another number, other tables.
pub(super) fn fingerprint() -> u32 {
    let categories = crc32c::crc32c(include_bytes!("categories.tsv"));
    crc32c::crc32c_append(categories, include_bytes!("programs.tsv"))
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut rows: Vec<Row> = include_str!("categories.tsv").lines().filter_map(row).collect();
    rows.sort_unstable_by_key(|row| row.name);
    rows.shrink_to_fit();
    for at in 1..rows.len() {
        // Rows with more words come right behind: no byte of a name sorts before the space.
        let name = rows[at - 1].name;
        rows[at - 1].has_more = rows[at].name.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
    }
    let mut readings = Vec::new();
    for (name, reading) in include_str!("programs.tsv").lines().filter_map(program) {
        if let Ok(at) = rows.binary_search_by_key(&name, |row| row.name) {
            readings.push(reading);
            rows[at].reading = u16::try_from(readings.len()).unwrap_or(0);
        }
    }
    let begin = |byte: usize| {
        rows.partition_point(|row| row.name.bytes().next().is_some_and(|first| usize::from(first) < byte))
    };
    let begins = std::array::from_fn(begin);
    Table { rows, readings, begins }
});

/// Reads a row; a test holds that every line of the file is one.
fn row(line: &'static str) -> Option<Row> {
    let mut fields = line.split('\t');
    let name = fields.next()?;
    let category = fields.next()?.parse().ok()?;
    let confidence = fields.next()?.parse().ok()?;
    Some(Row { name, category, confidence, has_more: false, reading: 0 })
}

/// Reads a line about a program; a test holds that every line of the file is one, and has a row.
fn program(line: &'static str) -> Option<(&'static str, Reading)> {
    // A dash stands for nothing.
    let mut fields = line.split('\t').map(|field| if field == "-" { "" } else { field });
    let name = fields.next()?;
    let traits = fields.next()?;
    let valued = fields.next()?;
    let words = fields.next()?;
    let has = |wanted: &str| traits.split(' ').any(|one| one == wanted);
    let reading = Reading {
        is_wrapper: has("wrapper"),
        is_runner: has("runner"),
        is_interpreter: has("interpreter"),
        is_mute: has("mute"),
        is_deaf: has("deaf"),
        is_telling: has("telling"),
        valued,
        words,
    };
    Some((name, reading))
}

/// A name put together from words, with a space between two, in a place of fixed size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    bytes: [u8; NAME_BYTES_MAX],
    length: usize,
}

impl Name {
    /// Makes a name of one word; `None` if no row is that long.
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        let mut bytes = [0; NAME_BYTES_MAX];
        bytes.get_mut(..word.len())?.copy_from_slice(word);
        Some(Self { bytes, length: word.len() })
    }

    /// Returns the name with one more word behind it; `None` if no row is that long.
    pub(super) fn with(mut self, word: &[u8]) -> Option<Self> {
        let end = self.length + 1 + word.len();
        let (space, rest) = self.bytes.get_mut(self.length..end)?.split_first_mut()?;
        *space = b' ';
        rest.copy_from_slice(word);
        self.length = end;
        Some(self)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Returns the row of exactly that name.
pub(super) fn find(name: &Name) -> Option<&'static Row> {
    find_bytes(name.as_bytes())
}

fn find_bytes(name: &[u8]) -> Option<&'static Row> {
    let first = usize::from(*name.first()?);
    let rows = TABLE.rows.get(TABLE.begins[first]..TABLE.begins[first + 1])?;
    rows.binary_search_by(|row| row.name.as_bytes().cmp(name)).ok().map(|place| &rows[place])
}

/// Looks for the longest family that the name belongs to: `git-foo` is of `git-*`, `x.sh` of `*.sh`.
pub(super) fn find_family(name: &[u8]) -> Option<&'static Row> {
    // The longest family in the table has some twenty bytes: a longer prefix need not be tried.
    let head = &name[..name.len().min(32)];
    let joints = (1..head.len()).rev().filter(|at| matches!(head[at - 1], b'-' | b'.' | b'_'));
    let starred = |at: usize| {
        let mut pattern = Name::of(&head[..at])?;
        *pattern.bytes.get_mut(at)? = b'*';
        pattern.length += 1;
        find(&pattern)
    };
    joints.into_iter().find_map(starred).or_else(|| {
        let dot = name.iter().rposition(|byte| *byte == b'.')?;
        let mut pattern = Name::of(b"*")?;
        pattern.bytes.get_mut(1..1 + name.len() - dot)?.copy_from_slice(&name[dot..]);
        pattern.length += name.len() - dot;
        find(&pattern)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATEGORIES: &str = include_str!("categories.tsv");
    const PROGRAM_LINES: &str = include_str!("programs.tsv");

    #[test]
    fn every_row_is_well_formed_sorted_and_known_once() {
        assert!(CATEGORIES.lines().count() > 4000);
        for line in CATEGORIES.lines() {
            assert_eq!(line.split('\t').count(), 4, "{line}");
            let row = row(line).unwrap_or_else(|| panic!("{line}"));
            assert!((1..=100).contains(&row.confidence), "{line}");
            assert!(row.name.len() <= NAME_BYTES_MAX, "{line}");
        }
        assert!(CATEGORIES.lines().is_sorted_by_key(|line| line.split('\t').next().unwrap()));
        assert!(TABLE.rows.windows(2).all(|pair| pair[0].name < pair[1].name));
    }

    /// Returns the rows of a source, each with what stands behind the source's colon.
    fn of_source(source: &str) -> Vec<(Row, &'static str)> {
        let fields = |line: &'static str| (row(line).unwrap(), line.rsplit('\t').next().unwrap());
        let told = CATEGORIES.lines().map(fields);
        told.filter_map(|(row, said)| Some((row, said.strip_prefix(source)?))).collect()
    }

    #[test]
    fn every_row_has_a_source_that_is_explained() {
        let explained = include_str!("categories.LICENSE.md");
        assert!(explained.contains("| `ours` |") && explained.contains("| `debian:SECTION` |"));
        assert_eq!(of_source("ours").len() + of_source("debian:").len(), CATEGORIES.lines().count());
    }

    #[test]
    fn rows_from_debian_are_of_the_category_of_their_section() {
        for (row, section) in of_source("debian:") {
            let category = match section {
                "devel" => Category::Build,
                "editors" => Category::Editor,
                "fonts" | "games" | "kde" | "x11" => Category::Desktop,
                "graphics" | "sound" | "video" => Category::Media,
                "kernel" => Category::System,
                "mail" => Category::Network,
                "shells" => Category::Shell,
                "vcs" => Category::Vcs,
                _ => panic!("{section} says nothing about a category"),
            };
            assert_eq!(row.category, category, "{}", row.name);
        }
    }

    #[test]
    fn rows_of_ours_are_sure_of_what_is_known_and_unsure_of_what_is_guessed() {
        let ours = of_source("ours");
        let confidence = |name: &str| ours.iter().find(|(row, _)| row.name == name).unwrap().0.confidence;
        assert!(["git", "ls", "docker", "python", "ssh"].into_iter().all(|name| confidence(name) >= 90));
        assert!(["*.sh", "*.py", "*.jar"].into_iter().all(|name| confidence(name) <= 50));
    }

    #[test]
    fn every_program_is_well_formed_sorted_and_known_once() {
        for line in PROGRAM_LINES.lines() {
            assert_eq!(line.split('\t').count(), 4, "{line}");
            let traits = line.split('\t').nth(1).unwrap();
            let known = ["-", "wrapper", "runner", "interpreter", "mute", "deaf", "telling"];
            assert!(traits.split(' ').all(|one| known.contains(&one)), "{line}");
            assert!(find_bytes(line.split('\t').next().unwrap().as_bytes()).is_some(), "{line}: no row");
        }
        let mut lines: Vec<_> = PROGRAM_LINES.lines().collect();
        lines.dedup_by_key(|line| line.split('\t').next());
        assert_eq!(lines.len(), PROGRAM_LINES.lines().count());
    }

    #[test]
    fn names_are_put_together_within_their_bound() {
        let name = Name::of(b"git").and_then(|name| name.with(b"push")).unwrap();
        assert_eq!(name.as_bytes(), b"git push");
        assert!(Name::of(&[b'a'; NAME_BYTES_MAX]).unwrap().with(b"").is_none());
        assert!(Name::of(&[b'a'; NAME_BYTES_MAX + 1]).is_none());
    }
}
