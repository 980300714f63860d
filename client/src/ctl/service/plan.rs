//! What is to be done to this machine, as values: computed before anything is touched, shown by `--dry-run`,
//! carried out by [`runner`](super::runner). Pure.

use std::path::{Path, PathBuf};
use std::time::Duration;

use karo_protocol::spool;
use serde_json::{Value, json};

use crate::ctl::cli::{HistoryFormat, HookedShell};
use crate::ctl::shown::{Newline, shown};

/// One deed, or one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Makes a directory, and those above it that are missing.
    MakeDirectory {
        /// Where: absolute.
        path: PathBuf,
        /// Its permission bits, and those of the ones above that are made.
        mode: u32,
    },
    /// Writes a whole file, over what is there.
    WriteFile {
        /// Where: absolute.
        path: PathBuf,
        /// All of it.
        text: String,
        /// Its permission bits.
        mode: u32,
    },
    /// Puts the marked lines of a hook into an rc file.
    PutLines {
        /// Whose rc file it is.
        shell: HookedShell,
        /// Where: absolute.
        file: PathBuf,
        /// The lines between the marks.
        lines: String,
    },
    /// Takes the marked lines out again.
    TakeLines {
        /// The rc file.
        file: PathBuf,
    },
    /// Removes a file; one that is gone already is fine.
    RemoveFile {
        /// Where: absolute.
        path: PathBuf,
    },
    /// Removes a directory if nothing is in it.
    RemoveEmpty {
        /// Where: absolute.
        path: PathBuf,
    },
    /// Removes from a directory what is Karo's, and the directory if nothing else is in it.
    Sweep {
        /// Where: absolute.
        path: PathBuf,
        /// What is Karo's there.
        what: Ours,
        /// Names that were there when it was planned; what comes there until then goes with them.
        found: Vec<String>,
    },
    /// Takes in the history of a shell, by the daemon.
    TakeIn {
        /// The file.
        file: PathBuf,
        /// What it is.
        format: HistoryFormat,
        /// How many commands it holds.
        count: usize,
    },
    /// Ends a daemon, and waits until it is gone.
    EndDaemon {
        /// Its process.
        pid: u32,
    },
    /// Runs a program.
    Run {
        /// Its name and its arguments.
        command: Vec<String>,
        /// Whether the rest is done although it fails.
        may_fail: bool,
    },
    /// Waits until a program fails, for what it shows is gone then.
    AwaitGone {
        /// Its name and its arguments.
        command: Vec<String>,
    },
    /// Says something.
    Explain(String),
}

/// What in a directory is Karo's: names, so that nothing else goes with it, wherever a variable points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ours {
    /// The data directory: log, views, keys, what was done here.
    Data,
    /// A spool, with the records that wait in it.
    Spool,
    /// What shells keep in a spool beside their records.
    Scratch,
}

impl Ours {
    /// Tells whether a name is Karo's there.
    pub fn has(self, name: &str) -> bool {
        let is_hidden = |rest: &str| {
            let id = rest.split('.').next().unwrap_or_default();
            id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        match self {
            Self::Data => {
                DATA.contains(&name)
                    || name.starts_with(".receipt.json.")
                    || name.starts_with("identity.key.")
            }
            Self::Spool => spool::is_file_name(name) || Self::Scratch.has(name),
            Self::Scratch => name.strip_prefix('.').is_some_and(is_hidden),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Data => "log, views and keys",
            Self::Spool => "records that wait",
            Self::Scratch => "what shells keep beside their records",
        }
    }
}

/// How long a daemon may take to stop in order: it syncs what it has.
pub const ENDING: Duration = Duration::from_secs(30);

/// Names in a directory that are shown at the most.
const NAMES_MAX: usize = 20;

/// Names in the data directory.
const DATA: [&str; 7] = ["damaged", "identity.key", "karod.lock", "log", "receipt.json", "reports", "views"];

/// Steps in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Step {
    /// A program that must succeed.
    pub fn run(command: &[&str]) -> Self {
        Self::Run { command: command.iter().map(|&word| word.to_owned()).collect(), may_fail: false }
    }

    /// A program whose failure changes nothing.
    pub fn try_run(command: &[&str]) -> Self {
        Self::Run { command: command.iter().map(|&word| word.to_owned()).collect(), may_fail: true }
    }

    /// Tells whether it changes anything.
    pub const fn is_deed(&self) -> bool {
        !matches!(self, Self::Explain(_))
    }

    /// Returns it on one line, as something to do or as something done.
    pub fn line(&self, is_done: bool) -> String {
        let (verb, what) = match self {
            Self::MakeDirectory { path, .. } => (["make", "made"], show(path)),
            Self::WriteFile { path, .. } => (["write", "wrote"], show(path)),
            Self::PutLines { file, .. } => (["put the hook into", "the hook is in"], show(file)),
            Self::TakeLines { file } => (["take the hook out of", "took the hook out of"], show(file)),
            Self::RemoveFile { path } | Self::RemoveEmpty { path } => (["remove", "removed"], show(path)),
            Self::Sweep { path, what, .. } => {
                (["remove", "removed"], format!("{} in {}", what.name(), show(path)))
            }
            Self::TakeIn { file, count, .. } => {
                (["take in", "took in"], format!("{} ({count} commands)", show(file)))
            }
            Self::EndDaemon { pid } => (["end", "ended"], format!("karod, process {pid}")),
            Self::Run { command, .. } => (["run", "ran"], in_shell(command)),
            Self::AwaitGone { command } => {
                (["wait until nothing is shown by", "nothing is shown by"], in_shell(command))
            }
            Self::Explain(sentence) => return shown(sentence.as_bytes(), Newline::Arrow),
        };
        format!("{} {what}", verb[usize::from(is_done)])
    }

    /// Returns it whole, for people who want to know before it is done.
    fn text(&self) -> String {
        let whole = |text: &str| -> String {
            text.lines().map(|line| format!("    {}\n", shown(line.as_bytes(), Newline::Arrow))).collect()
        };
        let line = self.line(false);
        match self {
            Self::MakeDirectory { mode, .. } => format!("{line} ({mode:04o})\n"),
            Self::WriteFile { text, mode, .. } => format!("{line} ({mode:04o}):\n{}", whole(text)),
            Self::PutLines { lines, .. } => format!("{line}:\n{}", whole(lines)),
            Self::RemoveEmpty { .. } => format!("{line} if it is empty\n"),
            Self::Sweep { found, .. } => {
                let colon = if found.is_empty() { "" } else { ":" };
                format!("{line}, and the directory if nothing else is in it{colon}\n{}", whole(&first(found)))
            }
            Self::EndDaemon { .. } => {
                format!("{line} (by TERM; by KILL if it runs on for {} seconds)\n", ENDING.as_secs())
            }
            Self::TakeLines { .. }
            | Self::RemoveFile { .. }
            | Self::TakeIn { .. }
            | Self::Run { .. }
            | Self::AwaitGone { .. }
            | Self::Explain(_) => format!("{line}\n"),
        }
    }

    /// Returns it as JSON.
    pub fn to_json(&self, is_done: bool) -> Value {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut value = match self {
            Self::MakeDirectory { path: at, mode } => {
                json!({ "step": "make-directory", "path": path(at), "mode": format!("{mode:04o}") })
            }
            Self::WriteFile { path: at, text, mode } => {
                json!({ "step": "write", "path": path(at), "mode": format!("{mode:04o}"), "text": text })
            }
            Self::PutLines { shell, file, lines } => {
                json!({ "step": "put-hook", "path": path(file), "shell": shell.name(), "text": lines })
            }
            Self::TakeLines { file } => json!({ "step": "take-hook", "path": path(file) }),
            Self::RemoveFile { path: at } => json!({ "step": "remove", "path": path(at) }),
            Self::RemoveEmpty { path: at } => json!({ "step": "remove-empty", "path": path(at) }),
            Self::Sweep { path: at, what, found } => {
                json!({ "step": "sweep", "path": path(at), "what": what.name(), "found": found })
            }
            Self::TakeIn { file, count, .. } => {
                json!({ "step": "import", "path": path(file), "commands": count })
            }
            Self::EndDaemon { pid } => json!({ "step": "end-daemon", "pid": pid }),
            Self::Run { command, .. } => json!({ "step": "run", "command": command }),
            Self::AwaitGone { command } => json!({ "step": "await-gone", "command": command }),
            Self::Explain(sentence) => return json!({ "step": "explain", "text": sentence }),
        };
        value["done"] = json!(is_done);
        value
    }
}

impl Plan {
    /// Tells whether carrying it out would change nothing.
    pub fn is_idle(&self) -> bool {
        !self.steps.iter().any(Step::is_deed)
    }

    /// Adds a step.
    pub fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Adds a sentence.
    pub fn explain(&mut self, sentence: impl Into<String>) {
        self.steps.push(Step::Explain(sentence.into()));
    }

    /// Returns every file with its whole content, and every command.
    pub fn text(&self) -> String {
        self.steps.iter().map(Step::text).collect()
    }
}

/// Returns the first of these names, a line for each, and how many more there are.
fn first(names: &[String]) -> String {
    let mut lines: Vec<String> =
        names.iter().take(NAMES_MAX).map(|name| shown(name.as_bytes(), Newline::Arrow)).collect();
    if names.len() > NAMES_MAX {
        lines.push(format!("and {} more", names.len() - NAMES_MAX));
    }
    lines.join("\n")
}

fn show(path: &Path) -> String {
    shown(path.as_os_str().as_encoded_bytes(), Newline::Arrow)
}

/// Returns a command as it would be typed.
pub fn in_shell(command: &[String]) -> String {
    let word = |word: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@,+%".contains(c);
        let safe = shown(word.as_bytes(), Newline::Arrow);
        match !word.is_empty() && word.chars().all(is_plain) {
            true => safe,
            false => format!("'{}'", safe.replace('\'', "'\\''")),
        }
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_ours_are_swept() {
        let id = "000102030405060708090a0b0c0d0e0f";
        let cases = [
            (Ours::Data, "log", true),
            (Ours::Data, "reports", true),
            (Ours::Data, "identity.key.new", true),
            (Ours::Data, "Documents", false),
            (Ours::Data, ".bashrc", false),
            (Ours::Spool, &format!("{id}.3.s"), true),
            (Ours::Spool, &format!(".{id}.text"), true),
            (Ours::Spool, "thesis.tex", false),
            (Ours::Scratch, &format!("{id}.3.s"), false),
            (Ours::Scratch, &format!(".{id}.3.s.77.tmp"), true),
            (Ours::Scratch, ".profile", false),
        ];
        for (what, name, expected) in cases {
            assert_eq!(what.has(name), expected, "{what:?} {name}");
        }
    }

    #[test]
    fn a_plan_shows_every_file_and_command() {
        let plan = Plan {
            steps: vec![
                Step::MakeDirectory { path: "/h/.config/systemd/user".into(), mode: 0o700 },
                Step::WriteFile { path: "/h/u".into(), text: "[Unit]\nX=1\n".to_owned(), mode: 0o644 },
                Step::run(&["systemctl", "--user", "start", "a b.service"]),
                Step::RemoveEmpty { path: "/h/\u{1b}".into() },
                Step::EndDaemon { pid: 9 },
                Step::Sweep { path: "/d".into(), what: Ours::Data, found: vec!["log".to_owned(); 21] },
                Step::Explain("that is all".to_owned()),
            ],
        };
        assert_eq!(
            plan.text(),
            "make /h/.config/systemd/user (0700)\nwrite /h/u (0644):\n    [Unit]\n    X=1\n\
             run systemctl --user start 'a b.service'\nremove /h/\\x1b if it is empty\n\
             end karod, process 9 (by TERM; by KILL if it runs on for 30 seconds)\n\
             remove log, views and keys in /d, and the directory if nothing else is in it:\n"
                .to_owned()
                + &"    log\n".repeat(20)
                + "    and 1 more\nthat is all\n"
        );
        assert!(!plan.is_idle());
        assert!(Plan { steps: vec![Step::Explain("x".to_owned())] }.is_idle());
        let line = plan.steps[2].to_json(true).to_string();
        assert_eq!(
            line,
            r#"{"command":["systemctl","--user","start","a b.service"],"done":true,"step":"run"}"#
        );
    }
}
