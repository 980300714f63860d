//! Which row of the table decides about one run.
//!
//! The longest row wins: `docker compose` before `docker`. Options between a program and its subcommand are
//! passed over, with their values where `programs.tsv` knows that they take one.

use karo_protocol::Category;

use super::RunCategory;
use super::table::{Name, Program, Row, find, find_family, find_program};
use crate::line::{Line, Run, Word};

/// Programs in one run that are looked through: `uv run poetry run python x.py` has three.
const LAYERS_MAX: usize = 4;

/// Words of one run that are looked at: what a program is to do stands near its name.
const WORDS_MAX: usize = 48;

/// The row that decides about a run, and how its program is to be read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decision {
    pub(super) row: Option<Row>,
    /// Whether it is there for what it runs, and runs something.
    pub(super) is_wrapping: bool,
    /// Whether it tells nothing about its line.
    pub(super) is_mute: bool,
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
    let mut is_parent = vec![false; line.runs.len()];
    for parent in line.runs.iter().filter_map(|run| run.parent) {
        if let Some(is_parent) = is_parent.get_mut(parent) {
            *is_parent = true;
        }
    }
    for (decision, is_parent) in decisions.iter_mut().zip(is_parent) {
        decision.is_wrapping &= is_parent;
    }
    decisions
}

fn decide_run(run: &Run) -> Decision {
    let mut words = &run.words[..run.words.len().min(WORDS_MAX)];
    let mut decision = Decision { row: None, is_wrapping: false, is_mute: false };
    for layer in 0..LAYERS_MAX {
        let Some((first, arguments)) = words.split_first() else { break };
        let read = Reading::of(first, arguments);
        if layer == 0 {
            decision.is_wrapping = read.traits(|program| program.is_wrapper);
            decision.is_mute = read.traits(|program| program.is_mute);
        }
        // What a runner runs decides only if it is known.
        decision.row = read.row.or(decision.row);
        let is_runner = read.traits(|program| program.is_runner);
        let Some(inner) = read.operand.filter(|_| is_runner) else { break };
        words = &arguments[inner..];
    }
    decision
}

/// A program and its words, read.
struct Reading {
    row: Option<Row>,
    program: Option<&'static Program>,
    /// Which of its arguments is the first that is neither an option nor a subcommand that the tables know.
    operand: Option<usize>,
}

impl Reading {
    fn traits(&self, which: impl Fn(&Program) -> bool) -> bool {
        self.program.is_some_and(which)
    }

    fn of(first: &Word, arguments: &[Word]) -> Self {
        let text = first.text();
        if is_init_script(text) {
            return Self { row: exact(b"/etc/init.d/*"), program: None, operand: None };
        }
        let base = first.base_name();
        let base = base.strip_suffix(b".exe").unwrap_or(base);
        let stem = without_version(base);
        let Some(name) = Name::of(base) else { return Self { row: None, program: None, operand: None } };
        // `python3` has a row, and `python -m pip` speaks of it as well.
        let stem_name = Name::of(stem).unwrap_or(name);
        let mut read = Self {
            row: find(&name)
                .or_else(|| find(&stem_name))
                .or_else(|| folded(base))
                .or_else(|| tool_script(base))
                .or_else(|| find_family(base)),
            program: find_program(&name).or_else(|| find_program(&stem_name)),
            operand: None,
        };
        read.go_into(stem_name, name, arguments);
        read
    }

    /// Goes along the words for subcommands that the tables know, at most three deep.
    fn go_into(&mut self, stem: Name, name: Name, arguments: &[Word]) {
        let mut names = [stem, name];
        let mut operands = operands(self.program, arguments);
        for _ in 0..3 {
            let Some((at, word)) = operands.next() else { return };
            let longer = names.map(|name| name.with(word.text()));
            let row = longer.iter().flatten().find_map(find);
            let program = longer.iter().flatten().find_map(find_program);
            self.row = row.or(self.row);
            if program.is_none() && row.is_none() {
                self.operand.get_or_insert(at);
            }
            if let Some(script) = self.script(at, arguments) {
                self.row = Some(script);
                return;
            }
            let [Some(stem), Some(name)] = longer else { return };
            names = [stem, name];
            self.program = program.or(self.program);
        }
    }

    /// Returns what the name of the interpreter's script tells, if it does.
    fn script(&self, at: usize, arguments: &[Word]) -> Option<Row> {
        if !self.traits(|program| program.is_interpreter) || self.operand != Some(at) {
            return None;
        }
        let base = arguments[at].base_name();
        let name = Name::of(base)?;
        let task = arguments.get(at + 1).and_then(|word| name.with(word.text()));
        let told = task.and_then(|task| find(&task));
        // A bare word is a file of the user's own making, whatever program is called so.
        let is_file = base.contains(&b'.') || base.len() < arguments[at].text().len();
        let told = told.or_else(|| find(&name).filter(|_| is_file));
        told.or_else(|| tool_script(base))
            .or_else(|| find_family(base).filter(|row| !row.name.starts_with('*')))
    }
}

/// Returns the arguments that are neither options nor values of options, with their places.
///
/// `-m` and its kind are no options here when the table has a row for them: `python -m pip`.
fn operands<'a>(
    program: Option<&'static Program>,
    arguments: &'a [Word],
) -> impl Iterator<Item = (usize, &'a Word)> {
    let mut is_value = false;
    let mut is_over = false;
    arguments.iter().enumerate().filter(move |(_, word)| {
        let text = word.text();
        if std::mem::take(&mut is_value) {
            return false;
        }
        if is_over || !text.starts_with(b"-") || text.len() < 2 {
            // `cargo +nightly build`: the toolchain is no subcommand.
            return !text.starts_with(b"+");
        }
        is_over = text == b"--";
        is_value = program.is_some_and(|program| program.takes_value(text));
        !is_value && program.is_some_and(|program| program.is_word(text))
    })
}

fn exact(name: &[u8]) -> Option<Row> {
    find(&Name::of(name)?)
}

/// Returns the row of a name that was typed with capitals: PowerShell and Windows do not tell them apart.
fn folded(name: &[u8]) -> Option<Row> {
    if !name.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    exact(&name.to_ascii_lowercase())
}

/// Returns the row of the tool that a file is named for: `sqlmap.py`, `plantuml.jar`.
///
/// Of scripts, only tools of attack and defence go by such names; `test.py` and `sort.py` are somebody's own.
fn tool_script(name: &[u8]) -> Option<Row> {
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
