//! A shell that exists only as observations.

use karo_protocol::observation::Ending;
use karo_protocol::{
    Bytes, Micros, Observation, Phase, Precision, RawCommand, Shell, ShellId, ShellKind, Timestamp,
};

/// When a typist's first command starts: 2026-01-01, so that all stories have the same times.
pub const FIRST_START: Timestamp = Timestamp::from_micros(1_767_225_600_000_000);

/// Types commands into a shell of its own, numbered from 1, one a second.
#[derive(Debug, Clone)]
pub struct Typist {
    /// The shell; fields may be set before the first command.
    pub shell: Shell,
    /// Where it works.
    pub cwd: Bytes,
    /// Number of the last command.
    pub sequence: u64,
}

impl Typist {
    /// Opens a shell whose id is made of the number alone.
    pub fn new(number: u64) -> Self {
        let mut id = [0x5a; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        let shell = Shell {
            kind: ShellKind::Bash,
            id: ShellId::from_bytes(id),
            user: "story".into(),
            host: "stage".into(),
            tty: Some("pts/0".into()),
            is_remote: false,
            parent: Some("tests".into()),
            process: None,
        };
        Self { shell, cwd: Bytes::from("/home/story"), sequence: 0 }
    }

    /// Types the next command, which ends with that status after ten milliseconds.
    pub fn ran(&mut self, command: impl Into<Vec<u8>>, exit: i32) -> Observation {
        let ending = Ending { duration: Some(Micros(10_000)), exit: Some(exit), pipestatus: vec![exit] };
        self.next(command, Phase::End(ending))
    }

    /// Types the next command, of which only the start is seen.
    pub fn started(&mut self, command: impl Into<Vec<u8>>) -> Observation {
        self.next(command, Phase::Start)
    }

    /// Returns the end of a command that was started.
    pub fn ended(start: &Observation, exit: i32) -> Observation {
        let ending = Ending { duration: Some(Micros(10_000)), exit: Some(exit), pipestatus: vec![exit] };
        Observation { phase: Phase::End(ending), ..start.clone() }
    }

    fn next(&mut self, command: impl Into<Vec<u8>>, phase: Phase) -> Observation {
        self.sequence += 1;
        Observation {
            shell: self.shell.clone(),
            sequence: self.sequence,
            phase,
            command: RawCommand::new(command),
            cwd: self.cwd.clone(),
            is_cwd_truncated: false,
            started_at: FIRST_START.after(Micros(self.sequence * 1_000_000)),
            precision: Precision::Micro,
            dropped: 0,
        }
    }
}
