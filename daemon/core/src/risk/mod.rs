//! How risky a line is, by rules in the Sigma format.
//!
//! [`Rules`] are compiled once, from the built-in pack and a team's own files, and never change; what could not
//! be used is named in [`Rules::refused`]. A line is looked at as one event for each program that it runs and one
//! for the line as a whole; `fields` has the table of what they hold. Nothing here reads a file, and no file,
//! whatever its bytes, makes anything here fail, hang or grow: the bounds are in [`limits`].

mod builtin;
mod event;
mod fields;
mod gate;
pub mod limits;
mod load;
mod needles;
mod needs;
mod pipes;
#[cfg(test)]
mod tests;
mod whole;
mod wildcards;

use karo_protocol::explain::Match;
use karo_protocol::{Axis, Risk};
use rsigma_eval::{EvaluationResult, evaluate_rule};

use crate::line::Line;
use event::{Event, Scene};
use fields::{Field, Text};
use limits::{
    IDS_PER_LINE_MAX, RULE_WORK_BYTES, RUNS_FIRST_MAX, RUNS_LAST_MAX, TITLE_BYTES_MAX, WORK_BYTES_MAX,
};
use load::{Loader, Rule};
use needles::{Hits, Needles};
use needs::{Need, Place};

/// Raised when the same rules say something else of the same line.
const TABLE_VERSION: u32 = 1;

/// A file of rules, as it was read.
#[derive(Debug, Clone, Copy)]
pub struct RuleFile<'a> {
    /// Its path, for people.
    pub path: &'a str,
    /// Its bytes.
    pub text: &'a [u8],
}

/// Where a line was typed, as far as rules may ask.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// Working directory; empty when unknown.
    pub cwd: &'a [u8],
    /// Name of the user; empty when unknown.
    pub user: &'a str,
    /// Name or path of the shell; empty when unknown.
    pub shell: &'a str,
}

/// Which of the [`Surroundings`] any rule in use asks for: what a line is remembered by, beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reads {
    /// The working directory.
    pub cwd: bool,
    /// The user.
    pub user: bool,
    /// The shell.
    pub shell: bool,
}

/// Where a rule comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It is part of Karo.
    Builtin,
    /// It is from a file of the team's.
    Team,
}

/// A rule in use, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its level.
    pub level: Risk,
    /// Its axis, by its tag `karo.threat`, `karo.hazard` or `karo.exposure`; threat without one.
    pub axis: Axis,
    /// Its tags.
    pub tags: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
    /// Path of its file.
    pub path: String,
    /// Fields that it asks for and that no shell line has: that part of it finds nothing.
    pub unseen: Vec<String>,
}

/// A file, or a document of one, that is not in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Path of the file.
    pub path: String,
    /// Line of the file, counted from 1, where one can be named.
    pub line: Option<u32>,
    /// Id of the rule, where it has one.
    pub id: Option<String>,
    /// Why.
    pub reason: String,
}

/// What rules say of a line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Assessment {
    /// The highest level of any rule that matched.
    pub risk: Option<Risk>,
    /// The axis of the rule that gave `risk`; of several, threat before hazard before exposure.
    pub axis: Option<Axis>,
    /// Ids of the rules that matched, the highest level first; at most [`limits::IDS_PER_LINE_MAX`].
    pub rules: Vec<String>,
}

/// Rules in use.
#[derive(Debug)]
pub struct Rules {
    /// The highest level first.
    rules: Vec<Rule>,
    /// Which of them are looked at for the line as a whole.
    whole: Vec<bool>,
    needles: Needles,
    refused: Vec<Refused>,
    reads: Reads,
    fingerprint: u32,
}

impl Rules {
    /// Makes rules of the built-in pack alone.
    pub fn builtin() -> Self {
        Self::load(&[])
    }

    /// Makes rules of the built-in pack and a team's files.
    ///
    /// Files are taken in the order of their paths. A rule with the id of a built-in one takes its place; of two
    /// files with the same id the second is refused.
    pub fn load(files: &[RuleFile<'_>]) -> Self {
        let mut files = files.to_vec();
        files.sort_unstable_by_key(|file| file.path);
        let mut loader = Loader::default();
        builtin::files().for_each(|file| loader.file(&file, Origin::Builtin));
        files.iter().for_each(|file| loader.file(file, Origin::Team));
        let mut fingerprint = crc32c::crc32c(&TABLE_VERSION.to_be_bytes());
        builtin::files().for_each(|file| fingerprint = with_file(fingerprint, file.text));
        files.iter().for_each(|file| fingerprint = with_file(fingerprint, file.text));
        Self::of(loader, fingerprint)
    }

    /// Makes rules of these files alone, without the built-in pack: to see what one of them says.
    pub fn alone(files: &[RuleFile<'_>]) -> Self {
        let mut loader = Loader::default();
        files.iter().for_each(|file| loader.file(file, Origin::Team));
        let fingerprint = files.iter().fold(0, |sum, file| with_file(sum, file.text));
        Self::of(loader, fingerprint)
    }

    fn of(loader: Loader, fingerprint: u32) -> Self {
        let (rules, refused) = loader.finish();
        let needs: Vec<Need> = rules.iter().map(|rule| Need::of(&rule.parsed)).collect();
        let whole = rules.iter().map(|rule| whole::is_for_whole_lines(&rule.parsed)).collect();
        let asks = |text| rules.iter().any(|rule| rule.reads.contains(&Field::Text(text)));
        let reads = Reads {
            cwd: asks(Text::CurrentDirectory),
            user: asks(Text::User),
            shell: asks(Text::ParentImage) || asks(Text::Image),
        };
        Self { whole, needles: Needles::new(&needs), refused, reads, fingerprint, rules }
    }

    /// Returns what could not be used, in the order of the files.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// Returns the rules in use, the highest level first.
    pub fn listed(&self) -> impl Iterator<Item = &Listed> {
        self.rules.iter().map(|rule| &rule.listed)
    }

    /// Returns a number that stands for these rules: another number, another set of files or another Karo.
    pub const fn fingerprint(&self) -> u32 {
        self.fingerprint
    }

    /// Returns which of the surroundings any rule asks for.
    pub const fn reads(&self) -> Reads {
        self.reads
    }

    /// Says how risky a line is. `text` is the line that `line` was parsed from, without its secrets.
    pub fn assess(&self, text: &[u8], line: &Line, surroundings: Surroundings<'_>) -> Assessment {
        let mut found = Vec::new();
        self.each_match(text, line, surroundings, |index, _, _| found.push(index));
        found.sort_unstable();
        let highest = found.first().map(|index| &self.rules[*index].listed);
        Assessment {
            risk: highest.map(|rule| rule.level),
            axis: highest.map(|rule| rule.axis),
            rules: found
                .iter()
                .take(IDS_PER_LINE_MAX)
                .map(|index| self.rules[*index].listed.id.clone())
                .collect(),
        }
    }

    /// Returns the rules that match a line, the highest level first, each with the first run that it matched.
    pub fn matches(&self, text: &[u8], line: &Line, surroundings: Surroundings<'_>) -> Vec<Match> {
        let mut found = Vec::new();
        self.each_match(text, line, surroundings, |index, event, result| {
            found.push((index, explained(&self.rules[index].listed, event, result)));
        });
        found.sort_unstable_by_key(|(index, _)| *index);
        found.into_iter().map(|(_, one)| one).collect()
    }

    /// Calls `on` with the index of each rule that matches and the first event that it matches.
    fn each_match(
        &self,
        text: &[u8],
        line: &Line,
        surroundings: Surroundings<'_>,
        mut on: impl FnMut(usize, &Event<'_>, &EvaluationResult),
    ) {
        let scene = Scene::new(text, line, surroundings);
        let whole = scene.whole();
        let mut hits = self.needles.hits(&scene.programs());
        let mut is_found = vec![false; self.rules.len()];
        let mut work = 0;
        // The whole line comes first: what it costs is bounded, and padding cannot push it out.
        for run in std::iter::once(None).chain(seen(line.runs.len()).map(Some)) {
            let of_run = run.map(|run| scene.of_run(run));
            let event = of_run.as_ref().unwrap_or(&whole);
            self.search(event, &whole, &mut hits);
            let length = event.image.len() + event.command_line.len();
            work += length;
            let is_meant = |rule: usize| !is_found[rule] && (run.is_some() || self.whole[rule]);
            for index in self.needles.find(length, event.fields(), &mut hits, is_meant) {
                let index = usize::from(*index);
                work += RULE_WORK_BYTES + length;
                let compiled = self.rules[index].compiled();
                if let Some(result) = compiled.and_then(|rule| evaluate_rule(rule, event)) {
                    is_found[index] = true;
                    on(index, event, &result);
                }
            }
            if work > WORK_BYTES_MAX {
                break;
            }
        }
    }

    /// Finds the words of an event.
    fn search(&self, event: &Event<'_>, whole: &Event<'_>, hits: &mut Hits) {
        // Most lines are one program without a quote: what was found in the line is there.
        let is_same = event.run == Some(0) && event.command_line == whole.command_line;
        if !is_same {
            self.needles.begin(hits);
            self.needles.search(Place::CommandLine, &needs::searchable([&event.command_line]), hits);
        }
        self.needles.search(Place::Image, &needs::searchable([&event.image]), hits);
    }
}

/// Returns the runs of a line that rules see.
fn seen(runs: usize) -> impl Iterator<Item = usize> {
    let first = runs.min(RUNS_FIRST_MAX);
    (0..first).chain(runs.saturating_sub(RUNS_LAST_MAX).max(first)..runs)
}

fn explained(rule: &Listed, event: &Event<'_>, result: &EvaluationResult) -> Match {
    let fields = result.as_detection().map_or(&[][..], |body| &body.matched_fields);
    let mut fields: Vec<String> = fields.iter().map(|one| shown(&one.field, &one.value)).collect();
    fields.sort_unstable();
    fields.dedup();
    Match {
        id: rule.id.clone(),
        title: rule.title.clone(),
        level: rule.level,
        axis: rule.axis,
        tags: rule.tags.clone(),
        fields,
        run: event.run.and_then(|run| u32::try_from(run).ok()),
    }
}

fn shown(field: &str, value: &serde_json::Value) -> String {
    let mut text = match (value.as_str(), value.as_array()) {
        (Some(text), _) => format!("{field}: {text}"),
        (None, Some(values)) => {
            let values: Vec<_> = values.iter().filter_map(serde_json::Value::as_str).collect();
            format!("{field}: {}", values.join(" "))
        }
        (None, None) => format!("{field}: {value}"),
    };
    text.truncate(text.floor_char_boundary(TITLE_BYTES_MAX));
    text
}

fn with_file(sum: u32, text: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(sum, &text.len().to_be_bytes()), text)
}
