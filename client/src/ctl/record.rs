//! An event as `query --json`, `--format csv` and `export` write it.
//!
//! The first fields are the documented ones in their order; `export` adds what is needed to lose
//! nothing: times in microseconds, texts that are not UTF-8 as base64, the shell's process.

use std::borrow::Cow;

use karo_protocol::event::Redaction;
use karo_protocol::{Axis, Category, Event, Precision, Risk};
use serde::Serialize;

use super::base64;
use super::when;

/// One event, for an answer.
#[derive(Debug, Serialize)]
pub struct Record<'a> {
    id: String,
    node: Option<&'a str>,
    host: &'a str,
    user: &'a str,
    shell: &'static str,
    shell_id: String,
    seq: u64,
    cwd: Cow<'a, str>,
    command: Cow<'a, str>,
    started_at: String,
    duration_ms: Option<u64>,
    exit: Option<i32>,
    pipestatus: Option<&'a [i32]>,
    state: &'static str,
    category: &'static str,
    tools: &'a [String],
    risk: Option<&'static str>,
    rules: &'a [String],
    redactions: Vec<Span>,
    truncated: bool,
    lossy: bool,
    axis: Option<&'static str>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    rest: Option<Rest<'a>>,
}

#[derive(Debug, Serialize)]
struct Span {
    start: u32,
    end: u32,
    kind: &'static str,
}

/// What `export` adds.
#[derive(Debug, Serialize)]
struct Rest<'a> {
    started_us: i64,
    duration_us: Option<u64>,
    precision_us: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    command_b64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd_b64: Option<String>,
    cwd_truncated: bool,
    tty: Option<&'a str>,
    ssh: bool,
    parent: Option<&'a str>,
    pid: Option<u32>,
    pid_start: Option<u64>,
    pid_ns: Option<u64>,
    boot_id: Option<String>,
    categories: Vec<&'static str>,
    rules_version: u32,
}

/// Names of the columns of CSV: the documented fields.
pub const COLUMNS: [&str; 22] = [
    "id",
    "node",
    "host",
    "user",
    "shell",
    "shell_id",
    "seq",
    "cwd",
    "command",
    "started_at",
    "duration_ms",
    "exit",
    "pipestatus",
    "state",
    "category",
    "tools",
    "risk",
    "rules",
    "redactions",
    "truncated",
    "lossy",
    "axis",
];

/// Names of the columns that `export` adds to CSV.
pub const COLUMNS_MORE: [&str; 15] = [
    "started_us",
    "duration_us",
    "precision_us",
    "command_b64",
    "cwd_b64",
    "cwd_truncated",
    "tty",
    "ssh",
    "parent",
    "pid",
    "pid_start",
    "pid_ns",
    "boot_id",
    "categories",
    "rules_version",
];

impl<'a> Record<'a> {
    /// Makes the record that `query` writes.
    pub fn new(event: &'a Event) -> Self {
        let (command, is_command_lossy) = lossy(event.command.as_bytes());
        let (cwd, is_cwd_lossy) = lossy(&event.cwd);
        let ending = event.outcome.ending();
        Self {
            id: event.id.to_string(),
            node: None,
            host: &event.shell.host,
            user: &event.shell.user,
            shell: event.shell.kind.name(),
            shell_id: event.shell.id.to_string(),
            seq: event.sequence,
            cwd,
            command,
            started_at: when::rfc3339(event.started_at, 3),
            duration_ms: ending.and_then(|ending| ending.duration).map(|span| span.0 / 1000),
            exit: ending.and_then(|ending| ending.exit),
            pipestatus: ending.map(|ending| ending.pipestatus.as_slice()).filter(|all| !all.is_empty()),
            state: event.outcome.state().name(),
            category: event.understanding.category.name(),
            tools: &event.understanding.tools,
            risk: event.understanding.risk.map(Risk::name),
            rules: &event.understanding.rules,
            redactions: event.redactions.iter().map(Span::of).collect(),
            truncated: event.command.is_truncated(),
            lossy: is_command_lossy || is_cwd_lossy,
            axis: event.understanding.axis.map(Axis::name),
            rest: None,
        }
    }

    /// Makes the record that `export` writes.
    pub fn whole(event: &'a Event) -> Self {
        let coded = |bytes: &[u8]| std::str::from_utf8(bytes).is_err().then(|| base64::encode(bytes));
        let process = event.shell.process.as_ref();
        let rest = Rest {
            started_us: event.started_at.as_micros(),
            duration_us: event.outcome.ending().and_then(|ending| ending.duration).map(|span| span.0),
            precision_us: Precision::as_micros(event.precision),
            command_b64: coded(event.command.as_bytes()),
            cwd_b64: coded(&event.cwd),
            cwd_truncated: event.is_cwd_truncated,
            tty: event.shell.tty.as_deref(),
            ssh: event.shell.is_remote,
            parent: event.shell.parent.as_deref(),
            pid: process.map(|process| process.pid),
            pid_start: process.map(|process| process.started_ticks),
            pid_ns: process.map(|process| process.namespace),
            boot_id: process.map(|process| process.boot.to_string()),
            categories: event.understanding.categories.iter().map(Category::name).collect(),
            rules_version: event.understanding.version,
        };
        Self { rest: Some(rest), ..Self::new(event) }
    }

    /// Returns the fields in the order of [`COLUMNS`] and, for a whole record, [`COLUMNS_MORE`];
    /// lists are joined by spaces, and what is unknown is empty.
    pub fn columns(&self) -> Vec<Cow<'_, str>> {
        let redactions =
            self.redactions.iter().map(|span| format!("{}-{}:{}", span.start, span.end, span.kind));
        let mut columns = vec![
            self.id.as_str().into(),
            self.node.unwrap_or_default().into(),
            self.host.into(),
            self.user.into(),
            self.shell.into(),
            self.shell_id.as_str().into(),
            self.seq.to_string().into(),
            self.cwd.as_ref().into(),
            self.command.as_ref().into(),
            self.started_at.as_str().into(),
            known(self.duration_ms),
            known(self.exit),
            joined(self.pipestatus.unwrap_or_default()),
            self.state.into(),
            self.category.into(),
            joined(self.tools),
            self.risk.unwrap_or_default().into(),
            joined(self.rules),
            joined(&redactions.collect::<Vec<_>>()),
            self.truncated.to_string().into(),
            self.lossy.to_string().into(),
            self.axis.unwrap_or_default().into(),
        ];
        if let Some(rest) = &self.rest {
            columns.extend(rest.columns());
        }
        columns
    }
}

impl Rest<'_> {
    fn columns(&self) -> Vec<Cow<'_, str>> {
        vec![
            self.started_us.to_string().into(),
            known(self.duration_us),
            self.precision_us.to_string().into(),
            self.command_b64.as_deref().unwrap_or_default().into(),
            self.cwd_b64.as_deref().unwrap_or_default().into(),
            self.cwd_truncated.to_string().into(),
            self.tty.unwrap_or_default().into(),
            self.ssh.to_string().into(),
            self.parent.unwrap_or_default().into(),
            known(self.pid),
            known(self.pid_start),
            known(self.pid_ns),
            self.boot_id.as_deref().unwrap_or_default().into(),
            joined(&self.categories),
            self.rules_version.to_string().into(),
        ]
    }
}

impl Span {
    const fn of(redaction: &Redaction) -> Self {
        Self { start: redaction.start, end: redaction.end, kind: redaction.kind.name() }
    }
}

fn lossy(bytes: &[u8]) -> (Cow<'_, str>, bool) {
    let text = String::from_utf8_lossy(bytes);
    let is_lossy = matches!(text, Cow::Owned(_));
    (text, is_lossy)
}

fn known<T: ToString>(value: Option<T>) -> Cow<'static, str> {
    value.map(|value| value.to_string()).unwrap_or_default().into()
}

fn joined<T: ToString>(values: &[T]) -> Cow<'static, str> {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into()
}
