//! The way back: plain words between separators, for text that the grammar cannot hold.

use super::Contexts;
use super::keyword::{Keyword, keyword};
use super::read::{End, Lost, Reader};
use super::script::Script;

impl Reader<'_> {
    /// Reads the whole text again as plain words; brackets and backticks separate, like `;`.
    pub(super) fn plain(&mut self, contexts: Contexts) {
        self.restart(contexts);
        (self.is_plain, self.is_fish) = (true, false);
        let mut script = Script::new(End::Text, 0);
        // What is left when there are too many words or commands is not read: see the bounds.
        if self.plain_script(&mut script).is_err() && !script.current.words.is_empty() {
            self.is_sound &= self.end_command(&mut script).is_ok();
        }
    }

    fn plain_script(&mut self, script: &mut Script) -> Result<(), Lost> {
        loop {
            self.skip_blanks();
            match (self.byte(0), self.byte(1)) {
                (None, _) => {
                    self.end_list(script)?;
                    self.no_bodies(script);
                    return Ok(());
                }
                (Some(b'\n'), _) => {
                    self.end_list(script)?;
                    self.at += 1;
                    self.bodies(script);
                }
                (Some(b'#'), _) => self.skip_comment(),
                (Some(b';' | b'&' | b'|'), _) => self.operator(script)?,
                (Some(b'(' | b')' | b'`'), _) => {
                    self.end_list(script)?;
                    self.at += 1;
                }
                (Some(b'$' | b'<' | b'>'), Some(b'(')) => self.at += 1,
                (Some(b'<' | b'>'), _) => self.redirection(script, None)?,
                _ => self.plain_token(script)?,
            }
        }
    }

    fn plain_token(&mut self, script: &mut Script) -> Result<(), Lost> {
        let start = self.at;
        let is_first = script.current.words.is_empty();
        let lexed = self.word(is_first)?;
        let word = lexed.word.text();
        if matches!(self.byte(0), Some(b'<' | b'>'))
            && self.byte(1) != Some(b'(')
            && word.iter().all(u8::is_ascii_digit)
        {
            return self.redirection(script, Some(&lexed.word));
        }
        if is_first && !lexed.is_quoted() {
            match keyword(word) {
                None => {}
                Some(
                    Keyword::For
                    | Keyword::Case
                    | Keyword::Function
                    | Keyword::Test
                    | Keyword::Switch
                    | Keyword::Repeat,
                ) => return self.plain_head(),
                Some(_) => return Ok(()),
            }
        }
        if is_first {
            if lexed.is_assignment() {
                script.current.assignments.push(lexed.word);
                return Ok(());
            }
            script.current.start = start;
        }
        script.current.words.push(lexed.word);
        Ok(())
    }

    /// Goes past the words of a compound command's head.
    fn plain_head(&mut self) -> Result<(), Lost> {
        loop {
            self.skip_blanks();
            match self.byte(0) {
                None | Some(b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'`') => return Ok(()),
                Some(b'<' | b'>') => self.at += 1,
                Some(_) => drop(self.word(false)?),
            }
        }
    }
}
