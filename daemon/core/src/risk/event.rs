//! A line as Sigma's rules see it: one event for each program, one for the line as a whole.
//!
//! A field is made when a rule asks for it, so that a line costs little more than its `CommandLine`.

use std::borrow::Cow;

use karo_protocol::explain::Context;
use rsigma_eval::EventValue;

use super::fields::{Claim, Field, Fields, List, Text};
use super::limits::{FIELD_BYTES_MAX, LIST_MAX, TEXT_BYTES_MAX};
use super::{Surroundings, needs, pipes};
use crate::line::{Line, RedirectionKind, Run, Word};

/// Where a shell finds a program that is typed without its path.
const PROGRAMS: &str = "/usr/bin/";

/// The shell, where nothing is known of it.
const SHELL: &str = "bash";

/// A line and where it was typed.
#[derive(Debug, Clone)]
pub(super) struct Scene<'a> {
    text: Cow<'a, str>,
    line: &'a Line,
    surroundings: Surroundings<'a>,
}

/// One event of a line.
#[derive(Debug)]
pub(super) struct Event<'a> {
    scene: &'a Scene<'a>,
    /// Which run it is of; `None` for the line as a whole.
    pub(super) run: Option<usize>,
    pub(super) image: Cow<'a, str>,
    pub(super) command_line: Cow<'a, str>,
}

impl<'a> Scene<'a> {
    /// Takes a line in. `text` is what `line` was parsed from.
    pub(super) fn new(text: &'a [u8], line: &'a Line, surroundings: Surroundings<'a>) -> Self {
        Self { text: shortened(String::from_utf8_lossy(text), TEXT_BYTES_MAX), line, surroundings }
    }

    /// Makes the event of the line as a whole.
    pub(super) fn whole(&'a self) -> Event<'a> {
        let command_line = Cow::Borrowed(&*self.text);
        Event { scene: self, run: None, image: Cow::Owned(self.shell()), command_line }
    }

    /// Makes the event of a run.
    pub(super) fn of_run(&'a self, index: usize) -> Event<'a> {
        let run = self.run(index);
        Event { scene: self, run: Some(index), image: image(run), command_line: command_line(run) }
    }

    fn shell(&self) -> String {
        match self.surroundings.shell {
            "" => format!("{PROGRAMS}{SHELL}"),
            shell if shell.contains('/') => shell.to_owned(),
            shell => format!("{PROGRAMS}{shell}"),
        }
    }

    /// Returns the names of all programs, as one text to be searched.
    pub(super) fn programs(&self) -> String {
        let names = self.line.runs.iter().take(LIST_MAX).map(|run| text(run.name()));
        needs::searchable(names)
    }

    fn run(&self, index: usize) -> &'a Run {
        &self.line.runs[index]
    }

    fn names(&self, runs: impl IntoIterator<Item = usize>) -> Vec<&'a [u8]> {
        runs.into_iter().map(|run| self.run(run).name()).take(LIST_MAX).collect()
    }
}

/// Returns the path of a program: as typed, or where it most likely is.
fn image(run: &Run) -> Cow<'_, str> {
    let typed = run.words.first().map_or(&[][..], Word::text);
    let typed = text(typed);
    if typed.contains('/') || typed.is_empty() { typed } else { Cow::Owned(format!("{PROGRAMS}{typed}")) }
}

/// Returns the program and its arguments as one text.
fn command_line(run: &Run) -> Cow<'_, str> {
    if let [word] = &run.words[..] {
        return shortened(String::from_utf8_lossy(word.text()), TEXT_BYTES_MAX);
    }
    let length = |words: &[Word]| words.iter().map(|word| word.text().len() + 1).sum::<usize>();
    let (mut head, mut tail) = (run.words.len(), run.words.len());
    if length(&run.words) > TEXT_BYTES_MAX {
        head = enough(run.words.iter(), HEAD_BYTES);
        tail = (run.words.len() - enough(run.words.iter().rev(), TAIL_BYTES)).max(head);
    }
    let mut line = Vec::with_capacity(length(&run.words[..head]) + length(&run.words[tail..]));
    for word in run.words[..head].iter().chain(&run.words[tail..]) {
        if !line.is_empty() {
            line.push(b' ');
        }
        line.extend_from_slice(word.text());
    }
    let line = String::from_utf8(line)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    shortened(Cow::Owned(line), TEXT_BYTES_MAX)
}

/// What is left of a text that is too long, in bytes from its begin and before its end.
const HEAD_BYTES: usize = TEXT_BYTES_MAX / 4 * 3;
const TAIL_BYTES: usize = TEXT_BYTES_MAX / 4;

/// Returns how many words it takes to have so many bytes.
fn enough<'w>(words: impl Iterator<Item = &'w Word>, bytes: usize) -> usize {
    let mut left = bytes;
    let mut count = 0;
    for word in words {
        count += 1;
        left = left.saturating_sub(word.text().len() + 1);
        if left == 0 {
            break;
        }
    }
    count
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    shortened(String::from_utf8_lossy(bytes), FIELD_BYTES_MAX)
}

/// Leaves the first three quarters and the last quarter of a text that is too long.
fn shortened(text: Cow<'_, str>, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return text;
    }
    let head = text.floor_char_boundary(most / 4 * 3);
    let tail = text.ceil_char_boundary(text.len() - most / 4);
    Cow::Owned([&text[..head], &text[tail..]].concat())
}

impl<'a> Event<'a> {
    /// Returns the fields that are there; of claims, those that are true. One too many does no harm.
    pub(super) fn fields(&self) -> Fields {
        let whose = if self.run.is_some() { Fields::RUN } else { Fields::WHOLE };
        whose.with(Fields::such_that(|field| match (field, self.of()) {
            (Field::Claim(claim), _) => self.claims(claim),
            (Field::Text(Text::ParentCommandLine), Some(run)) => run.parent.is_some(),
            (Field::Text(Text::ParentImage | Text::ParentCommandLine | Text::Program), None) => false,
            (Field::Text(_), _) => true,
            (Field::List(list), Some(run)) => may_have(run, list),
            (Field::List(list), None) => matches!(list, List::Programs | List::Assignments),
        }))
    }

    fn of(&self) -> Option<&'a Run> {
        self.run.map(|index| self.scene.run(index))
    }

    fn value(&self, field: Field) -> Option<EventValue<'_>> {
        match field {
            Field::Claim(claim) => Some(EventValue::Bool(self.claims(claim))),
            Field::Text(field) => self.text(field).map(EventValue::Str),
            Field::List(field) => {
                let texts = self.list(field);
                let values: Vec<_> =
                    texts.into_iter().take(LIST_MAX).map(|value| EventValue::Str(text(value))).collect();
                (!values.is_empty()).then_some(EventValue::Array(values))
            }
        }
    }

    fn claims(&self, claim: Claim) -> bool {
        let runs = match self.run {
            Some(index) => &self.scene.line.runs[index..=index],
            // The whole line claims what any of its programs claims.
            None => &self.scene.line.runs[..],
        };
        runs.iter().any(|run| match claim {
            Claim::Privileged => run.is_privileged,
            Claim::Remote => run.is_remote,
            Claim::Contained => run.is_contained,
            Claim::Interactive => pipes::is_interactive(run),
            Claim::Background => run.contexts.contains(Context::Background),
            Claim::Substitution => run.contexts.contains(Context::Substitution),
            Claim::Heredoc => run.contexts.contains(Context::Heredoc),
            Claim::Function => run.contexts.contains(Context::Function),
        })
    }

    fn text(&self, field: Text) -> Option<Cow<'_, str>> {
        let surroundings = self.scene.surroundings;
        match field {
            Text::Image => Some(Cow::Borrowed(&self.image)),
            Text::CommandLine => Some(Cow::Borrowed(&self.command_line)),
            Text::CurrentDirectory => known(text(surroundings.cwd)),
            Text::User if self.of().is_some_and(|run| run.is_privileged) => Some(Cow::Borrowed("root")),
            Text::User => known(text(surroundings.user.as_bytes())),
            Text::Scope => Some(Cow::Borrowed(if self.run.is_some() { "run" } else { "line" })),
            Text::Line => Some(Cow::Borrowed(&self.scene.text)),
            Text::Program => known(text(self.of()?.name())),
            Text::ParentImage => {
                let parent = self.of()?.parent;
                Some(
                    parent.map_or_else(
                        || Cow::Owned(self.scene.shell()),
                        |parent| image(self.scene.run(parent)),
                    ),
                )
            }
            Text::ParentCommandLine => Some(command_line(self.scene.run(self.of()?.parent?))),
        }
    }

    fn list(&self, field: List) -> Vec<&'a [u8]> {
        let line = self.scene.line;
        let Some((index, run)) = self.run.zip(self.of()) else {
            let of_runs = line.runs.iter().flat_map(|run| &run.assignments);
            let of_line = line.assignments.iter().chain(of_runs).map(Word::text);
            return if field == List::Programs {
                self.scene.names(0..line.runs.len())
            } else if field == List::Assignments {
                of_line.take(LIST_MAX).collect()
            } else {
                Vec::new()
            };
        };
        match field {
            List::Programs => self.scene.names(0..line.runs.len()),
            List::Arguments => {
                // Only what `CommandLine` shows too.
                let shown = enough(run.words.iter(), HEAD_BYTES).min(LIST_MAX);
                run.words[1.min(shown)..shown].iter().map(Word::text).collect()
            }
            List::Assignments => run.assignments.iter().map(Word::text).collect(),
            List::PipedInto => self.scene.names(pipes::readers(line, index)),
            List::PipedFrom => self.scene.names(pipes::writers(line, index)),
            List::SubstitutedInto => self.scene.names(pipes::holders(line, index)),
            List::RedirectTarget => targets(run, is_write),
            List::RedirectAppend => targets(run, |kind| kind == RedirectionKind::Append),
            List::RedirectSource => targets(run, |kind| kind == RedirectionKind::Read),
            List::Stdin => {
                let writers = pipes::writers(line, index).into_iter().map(|writer| self.scene.run(writer));
                let echoed = writers.filter(|writer| matches!(writer.name(), b"echo" | b"printf"));
                let echoed = echoed.flat_map(|writer| writer.arguments().iter().map(Word::text));
                targets(run, is_written_out).into_iter().chain(echoed).take(LIST_MAX).collect()
            }
        }
    }
}

fn known(text: Cow<'_, str>) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(text)
}

/// Tells whether a run may have anything in a list.
fn may_have(run: &Run, field: List) -> bool {
    let redirects =
        |is_wanted: fn(RedirectionKind) -> bool| run.redirections.iter().any(|one| is_wanted(one.kind));
    match field {
        List::Programs => true,
        List::Arguments => run.words.len() > 1,
        List::Assignments => !run.assignments.is_empty(),
        List::PipedInto => run.contexts.contains(Context::PipeOut),
        List::PipedFrom => run.contexts.contains(Context::PipeIn),
        List::SubstitutedInto => run.contexts.contains(Context::Substitution),
        List::RedirectTarget => redirects(is_write),
        List::RedirectAppend => redirects(|kind| kind == RedirectionKind::Append),
        List::RedirectSource => redirects(|kind| kind == RedirectionKind::Read),
        List::Stdin => run.contexts.contains(Context::PipeIn) || redirects(is_written_out),
    }
}

fn targets(run: &Run, is_wanted: impl Fn(RedirectionKind) -> bool) -> Vec<&[u8]> {
    let wanted = run.redirections.iter().filter(|one| is_wanted(one.kind));
    wanted.map(|one| one.target.text()).take(LIST_MAX).collect()
}

fn is_write(kind: RedirectionKind) -> bool {
    matches!(kind, RedirectionKind::Write | RedirectionKind::Append | RedirectionKind::ReadWrite)
}

/// Tells whether the text that a redirection reads stands in the line.
fn is_written_out(kind: RedirectionKind) -> bool {
    matches!(kind, RedirectionKind::HereDocument | RedirectionKind::HereString)
}

impl rsigma_eval::Event for Event<'_> {
    fn get_field(&self, path: &str) -> Option<EventValue<'_>> {
        self.value(Field::named(path)?)
    }

    fn any_string_value(&self, pred: &dyn Fn(&str) -> bool) -> bool {
        self.all_string_values().iter().any(|value| pred(value))
    }

    fn all_string_values(&self) -> Vec<Cow<'_, str>> {
        let mut texts = Vec::new();
        for (_, field) in Field::all() {
            match field {
                Field::Text(field) => texts.extend(self.text(field)),
                Field::List(field) => texts.extend(self.list(field).into_iter().map(text)),
                Field::Claim(_) => {}
            }
        }
        texts
    }

    fn to_json(&self) -> serde_json::Value {
        let fields =
            Field::all().filter_map(|(name, field)| Some((name.to_owned(), self.value(field)?.to_json())));
        serde_json::Value::Object(fields.collect())
    }
}
