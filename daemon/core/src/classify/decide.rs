//! Which row of the table decides about one run.
//!
//! The longest row wins: `docker compose` before `docker`. Options between a program and its subcommand are
//! passed over, with their values where `programs.tsv` knows that they take one.

use karo_protocol::Category;

use super::RunCategory;
use super::table::{Name, Reading, Row, find, find_family};
use crate::line::{Line, Run, Word};

/// Programs in one run that are looked through: `uv run poetry run python x.py` has three.
const LAYERS_MAX: usize = 4;

/// Words of one run that are looked at: what a program is to do stands near its name.
const WORDS_MAX: usize = 48;

/// The row that decides about a run, and how telling the run is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    pub(super) row: Option<&'static Row>,
    pub(super) reading: &'static Reading,
    /// Whether it is there for what it runs, and runs something.
    pub(super) is_wrapping: bool,
    /// Whether what runs it tells more: `ssh`, `docker exec`, `strace`.
    pub(super) is_inner: bool,
}

impl Decision {
    pub(super) fn category(&self) -> Category {
        self.row.map_or(Category::Other, |row| row.category)
    }

    pub(super) fn as_run(&self) -> RunCategory {
        RunCategory {
            category: self.category(),
            row: self.row.map_or("", |row| row.name),
            confidence: self.row.map_or(0, |row| row.confidence),
        }
    }
}

/// Decides about each run of a line.
pub(super) fn decide(line: &Line) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = line.runs.iter().map(decide_run).collect();
    for (at, run) in line.runs.iter().enumerate() {
        // What runs another stands before it.
        let Some(parent) = run.parent.filter(|parent| *parent < at) else { continue };
        decisions[parent].is_wrapping = decisions[parent].reading.is_wrapper;
        let is_inner = decisions[parent].is_inner || decisions[parent].reading.is_telling;
        decisions[at].is_inner |= is_inner;
    }
    decisions
}

fn decide_run(run: &Run) -> Decision {
    let mut words = &run.words[..run.words.len().min(WORDS_MAX)];
    let is_inner = run.is_remote || run.is_contained;
    let mut decision = Decision { row: None, reading: &Reading::NONE, is_wrapping: false, is_inner };
    for layer in 0..LAYERS_MAX {
        let Some((first, arguments)) = words.split_first() else { break };
        let Some(found) = Found::of(first, arguments) else { break };
        if layer == 0 {
            decision.reading = found.reading;
        }
        // What a runner runs decides only if it tells more than that something is run.
        if layer == 0 || !matches!(found.row.category, Category::Shell | Category::Other) {
            decision.row = Some(found.row);
        }
        let Some(inner) = found.operand.filter(|_| found.reading.is_runner) else { break };
        words = &arguments[inner..];
    }
    decision
}

/// What the table knows of a program and its words.
struct Found {
    row: &'static Row,
    reading: &'static Reading,
    /// Which of its arguments is the first that is neither an option nor a word of a row.
    operand: Option<usize>,
}

impl Found {
    fn of(first: &Word, arguments: &[Word]) -> Option<Self> {
        if is_init_script(first.text()) {
            let row = exact(b"/etc/init.d/*")?;
            return Some(Self { row, reading: &Reading::NONE, operand: None });
        }
        let base = first.base_name();
        let base = base.strip_suffix(b".exe").unwrap_or(base);
        let stem = without_version(base);
        let own = exact(base);
        // `python3` has a row, and `python -m pip` speaks of it as well.
        let general = if stem.len() < base.len() { exact(stem) } else { own };
        let row = own.or(general);
        let row = row.or_else(|| folded(base)).or_else(|| tool_file(base)).or_else(|| find_family(base))?;
        let general = general.unwrap_or(row);
        let mut found = Self { row, reading: general.reading().unwrap_or(&Reading::NONE), operand: None };
        if general.has_more || found.reading.is_runner || found.reading.is_interpreter {
            found.go_into(general, arguments);
        }
        Some(found)
    }

    /// Goes along the words for longer rows, at most three words deep.
    fn go_into(&mut self, general: &'static Row, arguments: &[Word]) {
        let mut name = Name::of(general.name.as_bytes());
        let mut at = 0;
        for _ in 0..3 {
            let Some(operand) = next_operand(self.reading, arguments, at) else { return };
            at = operand + 1;
            name = name.and_then(|name| name.with(arguments[operand].text()));
            if let Some(row) = name.as_ref().and_then(find) {
                self.row = row;
                self.reading = row.reading().unwrap_or(self.reading);
            } else if !self.reading.is_word(arguments[operand].text()) {
                self.operand.get_or_insert(operand);
                if let Some(script) = self.script(operand, arguments) {
                    self.row = script;
                    return;
                }
            }
        }
    }

    /// Returns what the name of the interpreter's script tells, if it does.
    fn script(&self, at: usize, arguments: &[Word]) -> Option<&'static Row> {
        let path = arguments[at].text();
        // With blanks it is no name but the script itself, behind `-c` and its kind.
        if !self.reading.is_interpreter || self.operand != Some(at) || path.contains(&b' ') {
            return None;
        }
        let base = arguments[at].base_name();
        let name = Name::of(base)?;
        let task = arguments.get(at + 1).and_then(|word| name.with(word.text()));
        let told = task.and_then(|task| find(&task));
        // A bare word is a file of the user's own making, whatever program is called so.
        let is_file = base.contains(&b'.') || base.len() < path.len();
        let told = told.or_else(|| find(&name).filter(|_| is_file));
        // That a script ends in `.py` says nothing that its interpreter does not.
        told.or_else(|| tool_file(base))
            .or_else(|| find_family(base).filter(|row| !row.name.starts_with('*')))
    }
}

/// Returns which argument, from `at` on, is the first that is neither an option nor the value of one.
///
/// `-m` and its kind are no options where they are words of rows: `python -m pip`.
fn next_operand(reading: &Reading, arguments: &[Word], mut at: usize) -> Option<usize> {
    while let Some(word) = arguments.get(at) {
        let text = word.text();
        // `cargo +nightly build`: the toolchain is no subcommand.
        let is_option = matches!(text, [b'-' | b'+', _, ..]);
        if !is_option || reading.is_word(text) {
            return Some(at);
        }
        at += 1 + usize::from(reading.takes_value(text));
    }
    None
}

fn exact(name: &[u8]) -> Option<&'static Row> {
    find(&Name::of(name)?)
}

/// Returns the row of a name that was typed with capitals: PowerShell and Windows do not tell them apart.
fn folded(name: &[u8]) -> Option<&'static Row> {
    if !name.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    exact(&name.to_ascii_lowercase())
}

/// Returns the row of the tool that a file is named for: `sqlmap.py`, `plantuml.jar`.
///
/// Of scripts, only tools of attack and defence go by such names; `test.py` and `sort.py` are somebody's own.
fn tool_file(name: &[u8]) -> Option<&'static Row> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    let is_package = matches!(&name[dot..], b".jar" | b".phar" | b".AppImage");
    let is_script = matches!(&name[dot..], b".py" | b".pl" | b".rb" | b".sh" | b".php" | b".ps1");
    if !is_package && !is_script {
        return None;
    }
    let row = exact(&name[..dot]).or_else(|| folded(&name[..dot]))?;
    (is_package || row.category == Category::Security).then_some(row)
}

fn is_init_script(path: &[u8]) -> bool {
    path.starts_with(b"/etc/init.d/") || path.starts_with(b"/etc/rc.d/")
}

/// Turns `python3.12` and `gcc-14` into the name that the table knows.
fn without_version(name: &[u8]) -> &[u8] {
    let end =
        name.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b'.').map_or(0, |last| last + 1);
    let stem = &name[..end];
    if end < name.len() { stem.strip_suffix(b"-").unwrap_or(stem) } else { stem }
}
