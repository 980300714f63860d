//! What a hook saw: raw, level 0, only ever between a shell and its own user's daemon.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{COMMAND_BYTES_MAX, CWD_BYTES_MAX, NAME_BYTES_MAX, PIPESTATUS_MAX};
use crate::{BootId, Bytes, Micros, Precision, ShellId, Timestamp, named_enum};

/// Version of [`Observation`] on the wire and in the spool; a daemon reads all older ones for good.
pub const OBSERVATION_VERSION: u16 = 1;

named_enum! {
    /// The shells that can be recorded, by hook or by their history file.
    ShellKind, "shell" {
        /// GNU bash.
        Bash = "bash",
        /// zsh.
        Zsh = "zsh",
        /// fish.
        Fish = "fish",
        /// The MirBSD Korn shell.
        Mksh = "mksh",
        /// The Korn shell.
        Ksh = "ksh",
        /// Any other, known from an import only.
        Other = "other",
    }
}

/// A command exactly as it was typed, secrets and all; `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RawCommand {
    text: Bytes,
    is_truncated: bool,
}

impl RawCommand {
    /// Takes a typed text, cut at [`COMMAND_BYTES_MAX`] and flagged when it was longer.
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        let mut text = text.into();
        let is_truncated = cut(&mut text, COMMAND_BYTES_MAX);
        Self { text: Bytes(text), is_truncated }
    }

    /// Takes a text that its sender may have cut already.
    pub fn with_flag(text: impl Into<Vec<u8>>, is_truncated: bool) -> Self {
        let command = Self::new(text);
        Self { is_truncated: command.is_truncated || is_truncated, ..command }
    }

    /// Returns it cut to what Karo keeps: what was decoded may be longer.
    #[must_use]
    pub fn bounded(self) -> Self {
        Self::with_flag(self.text.0, self.is_truncated)
    }

    /// Returns the typed bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text.0
    }

    /// Tells whether the text was longer than Karo keeps.
    pub const fn is_truncated(&self) -> bool {
        self.is_truncated
    }
}

impl fmt::Debug for RawCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawCommand({} bytes)", self.text.0.len())
    }
}

/// Cuts `bytes` to `length_max`, not within a UTF-8 sequence, and tells whether it did.
pub(crate) fn cut(bytes: &mut Vec<u8>, length_max: usize) -> bool {
    if bytes.len() <= length_max {
        return false;
    }
    let is_continuation = |byte: u8| byte & 0xc0 == 0x80;
    let end = (length_max.saturating_sub(3)..=length_max).rev().find(|end| !is_continuation(bytes[*end]));
    bytes.truncate(end.unwrap_or(length_max));
    true
}

/// The shell that a command was typed into: what is the same for all of its commands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shell {
    /// Which program it is.
    pub kind: ShellKind,
    /// Drawn by its hook at its start; for an imported file, of the file's BLAKE3.
    pub id: ShellId,
    /// Name of the account.
    pub user: String,
    /// Name of the machine.
    pub host: String,
    /// Terminal, as `pts/3`, if known.
    pub tty: Option<String>,
    /// Whether it was reached over ssh.
    pub is_remote: bool,
    /// Name of the program that started it, if known.
    pub parent: Option<String>,
    /// The process itself, if it was seen alive.
    pub process: Option<ShellProcess>,
}

/// One process, told apart from every other that had or will have its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShellProcess {
    /// Process id in its own pid namespace.
    pub pid: u32,
    /// When it started, in clock ticks since the boot (field 22 of `/proc/PID/stat`).
    pub started_ticks: u64,
    /// The boot it runs in.
    pub boot: BootId,
    /// Inode of its pid namespace; the daemon can look only into its own.
    pub namespace: u64,
}

/// Which side of a command was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It was about to run.
    Start,
    /// It has ended; alone, without a `Start`, this is a whole observation.
    End(Ending),
}

/// How a command ended; what its shell could not tell is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ending {
    /// From start to end.
    pub duration: Option<Micros>,
    /// Exit status, 0 to 255.
    pub exit: Option<i32>,
    /// Status of each part of a pipeline, first to last; empty when the shell did not say.
    pub pipestatus: Vec<i32>,
}

/// One side of one command, as a shell hook saw it.
///
/// `(shell.id, sequence, phase)` names it for good: delivered twice, it counts once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Where it was typed.
    pub shell: Shell,
    /// Number of the command in its shell, from 1.
    pub sequence: u64,
    /// Which side this is.
    pub phase: Phase,
    /// The text as typed, multi-line with its newlines.
    pub command: RawCommand,
    /// Working directory at the start.
    pub cwd: Bytes,
    /// Whether the directory was longer than [`CWD_BYTES_MAX`] and was cut.
    pub is_cwd_truncated: bool,
    /// Wall time of the start.
    pub started_at: Timestamp,
    /// How fine the hook's clock was.
    pub precision: Precision,
    /// Records that this shell could put nowhere since the last that went through.
    pub dropped: u32,
}

impl Observation {
    /// Returns the same observation with every field within its limit: cut, never refused.
    pub fn bounded(mut self) -> Self {
        self.command = self.command.bounded();
        self.is_cwd_truncated |= cut(&mut self.cwd.0, CWD_BYTES_MAX);
        for name in [Some(&mut self.shell.user), Some(&mut self.shell.host)]
            .into_iter()
            .chain([self.shell.tty.as_mut(), self.shell.parent.as_mut()])
            .flatten()
        {
            if name.len() > NAME_BYTES_MAX {
                name.truncate(name.floor_char_boundary(NAME_BYTES_MAX));
            }
        }
        if let Phase::End(ending) = &mut self.phase {
            ending.pipestatus.truncate(PIPESTATUS_MAX);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_text() {
        let command = RawCommand::new("export TOKEN=hunter2");
        assert_eq!(format!("{command:?}"), "RawCommand(20 bytes)");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        let mut text = "a".repeat(COMMAND_BYTES_MAX - 1);
        text.push('\u{20ac}');
        let command = RawCommand::new(text);
        assert!(command.is_truncated());
        assert_eq!(command.as_bytes().len(), COMMAND_BYTES_MAX - 1);
        assert!(!RawCommand::new(vec![0xff; COMMAND_BYTES_MAX]).is_truncated());
        assert_eq!(RawCommand::new(vec![0x80; COMMAND_BYTES_MAX + 9]).as_bytes().len(), COMMAND_BYTES_MAX);
    }
}
