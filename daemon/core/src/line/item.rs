//! What reading a text yields: commands and scripts, not yet looked into.

use karo_protocol::explain::Context;

use super::word::Word;
use super::{Contexts, Redirection, RedirectionKind};

/// A simple command, or the script between two backticks.
#[derive(Debug, Default)]
pub(super) struct Item {
    /// Its words; of a script, the one word that holds it.
    pub(super) words: Vec<Word>,
    pub(super) assignments: Vec<Word>,
    pub(super) redirections: Vec<Redirection>,
    pub(super) contexts: Contexts,
    /// Where it begins in the text that was read.
    pub(super) start: usize,
    /// In how many substitutions of that text it stands.
    pub(super) level: u8,
    /// The command before the pipe that it reads from.
    pub(super) piped_from: Option<usize>,
    pub(super) is_script: bool,
}

impl Item {
    pub(super) fn script(script: Word, start: usize, level: u8, contexts: Contexts) -> Self {
        let contexts = contexts.with(Contexts::of(Context::Substitution));
        Self { words: vec![script], contexts, start, level, is_script: true, ..Self::default() }
    }

    /// Adds a redirection.
    pub(super) fn redirect(&mut self, redirection: Redirection) {
        if matches!(redirection.kind, RedirectionKind::HereDocument | RedirectionKind::HereString) {
            self.contexts.insert(Context::Heredoc);
        }
        self.redirections.push(redirection);
    }
}
