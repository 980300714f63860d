//! The fields that rules may ask for.
//!
//! | field | holds |
//! | --- | --- |
//! | `Image` | path of the program as typed; a bare name stands in `/usr/bin/`; on the whole line the shell's |
//! | `CommandLine` | the program and its arguments without quotes, a space between them; or the whole line as typed |
//! | `CurrentDirectory` | where the line was typed |
//! | `User` | who typed it, `root` behind `sudo` and the like |
//! | `ParentImage` | path of the program that runs it (`sudo`, `xargs`, `bash -c`), else of the shell |
//! | `ParentCommandLine` | that program's command line; absent below the shell itself |
//! | `Karo.Scope` | `run` for each program of a line, `line` for the line as a whole |
//! | `Karo.Program` | name of the program, without its path |
//! | `Karo.Arguments` | list: its arguments, each without quotes |
//! | `Karo.Assignments` | list: `NAME=value` before it; on the whole line all of them |
//! | `Karo.PipedInto` | list: names of the programs that its output goes to, through the rest of the pipe |
//! | `Karo.PipedFrom` | list: names of the programs that its input comes from |
//! | `Karo.SubstitutedInto` | list: names of the programs in whose words its output is put: `eval "$(…)"` |
//! | `Karo.RedirectTarget` | list: files that it writes, by `>`, `>>`, `&>` and `<>` |
//! | `Karo.RedirectAppend` | list: those of them that it appends to |
//! | `Karo.RedirectSource` | list: files that it reads, by `<` |
//! | `Karo.Stdin` | list: its input where that stands in the line: here-documents, here-strings, what `echo` and `printf` pipe into it |
//! | `Karo.Privileged` | `true` behind `sudo`, `doas`, `su` |
//! | `Karo.Remote` | `true` behind `ssh` |
//! | `Karo.Contained` | `true` in a container: behind `docker exec`, `kubectl exec` |
//! | `Karo.Interactive` | `true` for a shell that reads commands from its terminal |
//! | `Karo.Background` | `true` where nobody waits for it: `&`, `nohup`, `setsid` |
//! | `Karo.Substitution` | `true` where its output becomes part of another command |
//! | `Karo.Heredoc` | `true` where its input is written out in the line, or it stands in such an input |
//! | `Karo.Function` | `true` in a function's body |
//! | `Karo.Programs` | list: names of all programs of the line |
//! | `Karo.Line` | the whole line as typed, without its secrets |

/// A field that a shell line can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Text(Text),
    List(List),
    Claim(Claim),
}

/// A field that is one text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Image,
    CommandLine,
    CurrentDirectory,
    User,
    ParentImage,
    ParentCommandLine,
    Scope,
    Program,
    Line,
}

/// A field that is a list of texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum List {
    Arguments,
    Assignments,
    PipedInto,
    PipedFrom,
    SubstitutedInto,
    RedirectTarget,
    RedirectAppend,
    RedirectSource,
    Stdin,
    Programs,
}

/// A field that is `true` or `false`, and never absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Privileged,
    Remote,
    Contained,
    Interactive,
    Background,
    Substitution,
    Heredoc,
    Function,
}

const NAMES: [(&str, Field); 27] = [
    ("Image", Field::Text(Text::Image)),
    ("CommandLine", Field::Text(Text::CommandLine)),
    ("CurrentDirectory", Field::Text(Text::CurrentDirectory)),
    ("User", Field::Text(Text::User)),
    ("ParentImage", Field::Text(Text::ParentImage)),
    ("ParentCommandLine", Field::Text(Text::ParentCommandLine)),
    ("Karo.Scope", Field::Text(Text::Scope)),
    ("Karo.Program", Field::Text(Text::Program)),
    ("Karo.Line", Field::Text(Text::Line)),
    ("Karo.Arguments", Field::List(List::Arguments)),
    ("Karo.Assignments", Field::List(List::Assignments)),
    ("Karo.PipedInto", Field::List(List::PipedInto)),
    ("Karo.PipedFrom", Field::List(List::PipedFrom)),
    ("Karo.SubstitutedInto", Field::List(List::SubstitutedInto)),
    ("Karo.RedirectTarget", Field::List(List::RedirectTarget)),
    ("Karo.RedirectAppend", Field::List(List::RedirectAppend)),
    ("Karo.RedirectSource", Field::List(List::RedirectSource)),
    ("Karo.Stdin", Field::List(List::Stdin)),
    ("Karo.Programs", Field::List(List::Programs)),
    ("Karo.Privileged", Field::Claim(Claim::Privileged)),
    ("Karo.Remote", Field::Claim(Claim::Remote)),
    ("Karo.Contained", Field::Claim(Claim::Contained)),
    ("Karo.Interactive", Field::Claim(Claim::Interactive)),
    ("Karo.Background", Field::Claim(Claim::Background)),
    ("Karo.Substitution", Field::Claim(Claim::Substitution)),
    ("Karo.Heredoc", Field::Claim(Claim::Heredoc)),
    ("Karo.Function", Field::Claim(Claim::Function)),
];

/// Fields that Sigma knows of a process and that no shell line has: a rule may ask, and finds nothing.
///
/// Sigma's taxonomy, section "Process Creation Events", with the fields of Sysmon and auditd that rules use.
const ABSENT: &[&str] = &[
    "Company",
    "Description",
    "FileVersion",
    "GrandParentImage",
    "Hashes",
    "IntegrityLevel",
    "LogonGuid",
    "LogonId",
    "OriginalFileName",
    "ParentIntegrityLevel",
    "ParentOriginalFileName",
    "ParentProcessGuid",
    "ParentProcessId",
    "ParentUser",
    "ProcessGuid",
    "ProcessId",
    "Product",
    "Provider_Name",
    "TerminalSessionId",
    "UtcTime",
    "Imphash",
    "imphash",
    "md5",
    "sha1",
    "sha256",
    "Computer",
    "ComputerName",
    "EventID",
];

/// What is known of a field's name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A shell line can have it.
    Present(Field),
    /// Only a process event has it.
    Absent,
    /// Nobody has it.
    Not,
}

impl Known {
    pub(super) fn of(name: &str) -> Self {
        match Field::named(name) {
            Some(field) => Self::Present(field),
            None if ABSENT.contains(&name) => Self::Absent,
            None => Self::Not,
        }
    }
}

impl Field {
    /// Every field with its name, in the order of the table.
    pub(super) fn all() -> impl Iterator<Item = (&'static str, Self)> {
        NAMES.iter().copied()
    }

    /// Returns the field of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }
}

/// A set of fields: bit `n` is that of row `n` of the table. Two more bits tell of what the event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields(u32);

impl Fields {
    /// The event is of a run.
    pub(super) const RUN: Self = Self(1 << NAMES.len());

    /// The event is of the line as a whole.
    pub(super) const WHOLE: Self = Self(2 << NAMES.len());

    /// Every set of one.
    pub(super) fn each() -> impl Iterator<Item = Self> {
        (0..NAMES.len() + 2).map(|bit| Self(1 << bit))
    }

    /// Of a million events, those that are expected to have them.
    pub(super) fn cost(self) -> u32 {
        let some = Self(NAMES.iter().zip(0..).fold(0, |bits, ((_, field), bit)| {
            bits | u32::from(matches!(field, Field::Text(_) | Field::List(List::Arguments | List::Programs)))
                << bit
        }));
        if self.0 & !some.0 & !Self::RUN.with(Self::WHOLE).0 == 0 { 600_000 } else { 50_000 }
    }

    pub(super) fn of(field: Field) -> Self {
        NAMES.iter().position(|(_, known)| *known == field).map_or(Self(0), |index| Self(1 << index))
    }

    /// Returns the fields for which a claim holds.
    pub(super) fn such_that(holds: impl Fn(Field) -> bool) -> Self {
        let bit = |index: usize, field: Field| u32::from(holds(field)) << index;
        Self(NAMES.iter().enumerate().fold(0, |bits, (index, (_, field))| bits | bit(index, *field)))
    }

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn holds(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}
