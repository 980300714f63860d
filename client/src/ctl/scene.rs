//! What a command works with: the places, the output, the terminal and the person before it.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use jiff::Zoned;
use karo_protocol::places::Places;

use super::exit::Trouble;
use super::filter::Bearings;
use super::passphrase;
use super::table::Surface;
use crate::connection::{Connection, Patience};
use crate::surroundings;

/// What a command works with.
pub struct Scene {
    /// Whether the answer is to be JSON.
    pub is_json: bool,
    /// Where the answer goes.
    pub out: Box<dyn Write>,
    /// Whether that is a terminal.
    pub is_terminal: bool,
    /// How long each step with the daemon may take.
    pub patience: Patience,
    /// Asks the person and returns whether the answer is yes, or why nobody can be asked.
    pub person: fn(&str) -> Result<bool, Trouble>,
    /// Whether there is a person to ask at all.
    pub has_person: bool,
    /// Asks the person for a secret, which is not shown while it is typed, or says why nobody can be asked.
    pub secret: fn(&str) -> Result<String, Trouble>,
    /// Asks the person to type a word, or says why nobody can be asked.
    pub word: fn(&str) -> Result<String, Trouble>,
    /// What reads the journal, where the system has one.
    pub journalctl: Option<PathBuf>,
    places: Option<Places>,
    now: OnceCell<Zoned>,
}

impl Scene {
    /// The real one of this process.
    pub fn real(is_json: bool) -> Self {
        Self {
            is_json,
            out: Box::new(BufWriter::with_capacity(64 * 1024, io::stdout())),
            is_terminal: io::stdout().is_terminal(),
            patience: Patience::default(),
            person: ask_on_terminal,
            has_person: is_anybody_there(),
            secret: passphrase::ask_on_terminal,
            word: read_on_terminal,
            journalctl: Some(PathBuf::from("journalctl")),
            places: None,
            now: OnceCell::new(),
        }
    }

    /// One with given places, output and clock.
    #[cfg(test)]
    pub fn given(places: Places, out: Box<dyn Write>, now: Zoned) -> Self {
        let now = OnceCell::from(now);
        Self {
            is_json: false,
            out,
            is_terminal: false,
            patience: Patience::default(),
            person: |_| Err(Trouble::refused("nobody is there")),
            has_person: false,
            secret: |_| Err(Trouble::refused("nobody is there")),
            word: |_| Err(Trouble::refused("nobody is there")),
            journalctl: None,
            places: Some(places),
            now,
        }
    }

    /// Returns the places of this user.
    ///
    /// # Errors
    ///
    /// When the environment leaves one without a name.
    pub fn places(&self) -> Result<Places, Trouble> {
        match &self.places {
            Some(places) => Ok(places.clone()),
            None => Ok(surroundings::places()?),
        }
    }

    /// Connects to the daemon.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not to be trusted.
    pub fn connect(&self) -> Result<Connection, Trouble> {
        Ok(Connection::open(&self.places()?, surroundings::uid(), self.patience)?)
    }

    /// Returns the wall clock at the first asking, in the user's zone.
    pub fn now(&self) -> &Zoned {
        self.now.get_or_init(Zoned::now)
    }

    /// Returns what relative paths and moments are read against; `cwd` is what [`current_directory`] gave.
    pub fn bearings<'a>(&'a self, cwd: &'a Option<PathBuf>) -> Bearings<'a> {
        Bearings { now: self.now(), cwd: cwd.as_deref() }
    }

    /// Returns what tables are fitted to.
    pub fn surface(&self) -> Surface {
        Surface {
            columns: self.is_terminal.then(terminal_columns),
            has_colour: self.is_terminal && has_colour(),
            now: self.now().clone(),
            home: std::env::var_os("HOME").filter(|home| home.len() > 1).map(OsString::into_vec),
        }
    }

    /// Says something to the person, beside the answer.
    pub fn note(&self, sentence: &str) {
        eprintln!("karoctl: {sentence}");
    }

    /// Shows the person a line that is no part of the answer, where a program does not take it for one.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn show_beside(&mut self, line: &str) -> io::Result<()> {
        if self.is_json {
            eprintln!("{line}");
            return Ok(());
        }
        writeln!(self.out, "{line}")
    }

    /// Asks the person and returns whether the answer is yes.
    ///
    /// # Errors
    ///
    /// When there is no terminal to ask on.
    pub fn confirm(&mut self, question: &str) -> Result<bool, Trouble> {
        self.out.flush()?;
        (self.person)(question)
    }

    /// Asks the person to type a word, and returns what was typed after the question was seen.
    ///
    /// # Errors
    ///
    /// When there is no terminal to ask on.
    pub fn typed(&mut self, question: &str) -> Result<String, Trouble> {
        self.out.flush()?;
        forget_typed();
        (self.word)(question)
    }

    /// Asks as [`confirm`](Self::confirm) does, and takes nothing for the answer that was typed before.
    ///
    /// # Errors
    ///
    /// As [`confirm`](Self::confirm).
    pub fn confirm_seen(&mut self, question: &str) -> Result<bool, Trouble> {
        self.out.flush()?;
        forget_typed();
        (self.person)(question)
    }
}

/// Forgets what was typed before a question was seen, so that it cannot be taken for the answer.
fn forget_typed() {
    // Standard input that is no terminal holds nothing that was typed.
    rustix::termios::tcflush(io::stdin(), rustix::termios::QueueSelector::IFlush).ok();
}

fn is_anybody_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

fn ask_on_terminal(question: &str) -> Result<bool, Trouble> {
    let answer = read_on_terminal(&format!("{question} [y/N]"))?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn read_on_terminal(question: &str) -> Result<String, Trouble> {
    if !is_anybody_there() {
        let question = question.trim_end_matches(" [y/N]");
        return Err(Trouble::refused(format!(
            "{question} there is no terminal to ask on; add --yes to go on without asking"
        )));
    }
    eprint!("{question} ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Trouble::refused(format!("could not read the answer from the terminal: {error}")))?;
    Ok(answer.trim().to_owned())
}

/// Returns the current directory as the shell names it, links and all; `None` when it is gone.
pub fn current_directory() -> Option<PathBuf> {
    let real = std::env::current_dir().ok()?;
    let named = std::env::var_os("PWD").map(PathBuf::from).filter(|named| named.is_absolute());
    let is_same = |named: &Path| {
        use std::os::unix::fs::MetadataExt;
        let identity = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino())).ok();
        identity(named).is_some() && identity(named) == identity(&real)
    };
    Some(named.filter(|named| is_same(named)).unwrap_or(real))
}

fn terminal_columns() -> usize {
    let stated = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let found = || rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| usize::from(size.ws_col));
    stated.or_else(found).filter(|columns| *columns > 0).unwrap_or(80)
}

/// Colours are welcome unless `NO_COLOR` holds anything (<https://no-color.org>) or the terminal is dumb.
fn has_colour() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.as_bytes().is_empty());
    !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
