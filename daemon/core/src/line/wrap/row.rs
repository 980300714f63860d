//! What there is to know of one wrapper.

use super::{Part, Rights};
use crate::line::word::Word;

/// One row of the table: a program that runs another.
#[derive(Debug)]
pub(super) struct Wrapper {
    /// Its names, each with the subcommands that make it run another, divided by `, `.
    pub(super) names: &'static str,
    /// Options with a value in the next word that may stand before the subcommand.
    pub(super) before: &'static str,
    /// Options with a value in the next word.
    pub(super) valued: &'static str,
    /// Options with which it runs nothing.
    pub(super) idle: &'static str,
    /// Options whose value is a script.
    pub(super) script: &'static str,
    /// Options whose value is the program, in place of the one that the operand would name.
    pub(super) program: &'static str,
    /// Words of its own before the inner command, options aside.
    pub(super) operands: usize,
    /// How the inner command is given.
    pub(super) how: How,
    /// Whether options of its own may stand behind its operands, too.
    pub(super) is_mixed: bool,
    /// Whether `NAME=value` words before the inner command are for its environment.
    pub(super) takes_assignments: bool,
    /// Whether it reads commands from its standard input if none is given.
    pub(super) is_fed: bool,
    /// Whether what it runs does not read what it reads.
    pub(super) is_detached: bool,
    pub(super) rights: Rights,
}

/// How a wrapper is given what it runs.
#[derive(Debug, Clone, Copy)]
pub(super) enum How {
    /// As the words behind its own.
    Words,
    /// As words, or as a text that it splits into such before them: `env -S`.
    Split,
    /// As words that it joins to a script.
    Joined,
    /// As words that the shell of another machine joins to a script.
    Remote,
    /// As a script in the first operand.
    First,
    /// As a script in each operand.
    Each,
    /// As a script in the first operand if there is a `-c`; else from a file, or its standard input.
    Shell,
    /// In options only.
    Options,
    /// In a way of its own.
    Search(fn(&[Word], usize) -> Vec<Part>),
}

impl PartialEq for How {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// A program whose inner command is given so.
pub(super) const fn row(names: &'static str, how: How) -> Wrapper {
    Wrapper {
        names,
        before: "",
        valued: "",
        idle: "",
        script: "",
        program: "",
        operands: 0,
        how,
        is_mixed: false,
        takes_assignments: false,
        is_fed: false,
        is_detached: false,
        rights: Rights { is_privileged: false, is_remote: false, is_contained: false },
    }
}

impl Wrapper {
    pub(super) const fn before(self, before: &'static str) -> Self {
        Self { before, ..self }
    }

    pub(super) const fn valued(self, valued: &'static str) -> Self {
        Self { valued, ..self }
    }

    pub(super) const fn idle(self, idle: &'static str) -> Self {
        Self { idle, ..self }
    }

    pub(super) const fn script(self, script: &'static str) -> Self {
        Self { script, ..self }
    }

    pub(super) const fn program(self, program: &'static str) -> Self {
        Self { program, ..self }
    }

    pub(super) const fn operands(self, operands: usize) -> Self {
        Self { operands, ..self }
    }

    pub(super) const fn mixed(self) -> Self {
        Self { is_mixed: true, ..self }
    }

    pub(super) const fn assignments(self) -> Self {
        Self { takes_assignments: true, ..self }
    }

    pub(super) const fn fed(self) -> Self {
        Self { is_fed: true, ..self }
    }

    pub(super) const fn detached(self) -> Self {
        Self { is_detached: true, ..self }
    }

    pub(super) const fn privileged(self) -> Self {
        Self { rights: Rights { is_privileged: true, ..self.rights }, ..self }
    }

    pub(super) const fn remote(self) -> Self {
        Self { rights: Rights { is_remote: true, ..self.rights }, ..self }
    }

    /// What runs in a container runs elsewhere as well.
    pub(super) const fn contained(self) -> Self {
        Self { rights: Rights { is_remote: true, is_contained: true, ..self.rights }, ..self }
    }
}
