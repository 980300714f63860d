//! Words of the grammar, and the heads of compound commands.

use super::read::{Lost, Reader};
use super::script::{Kind, Script};
use super::word::Builder;

/// A word of the grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    /// `!`, `not`, `and`, `or`: another command follows.
    Prefix,
    If,
    Then,
    Else,
    Elif,
    Fi,
    While,
    For,
    Repeat,
    Do,
    Done,
    Case,
    Esac,
    Function,
    OpenBrace,
    CloseBrace,
    Test,
    Begin,
    End,
    Switch,
    Coproc,
    /// Of zsh, between two groups.
    Always,
}

impl Keyword {
    /// Tells whether a compound command, or a command at least, begins with it.
    pub(super) fn opens(self) -> bool {
        match self {
            Self::Prefix | Self::If | Self::While | Self::For | Self::Repeat | Self::Case => true,
            Self::OpenBrace | Self::Test | Self::Begin => true,
            Self::Then | Self::Else | Self::Elif | Self::Fi | Self::Do | Self::Done | Self::Esac => false,
            Self::Function | Self::CloseBrace | Self::End | Self::Switch | Self::Coproc => false,
            Self::Always => false,
        }
    }
}

/// Finds the word of the grammar that a word is, unquoted, where a command may begin.
pub(super) fn keyword(text: &[u8]) -> Option<Keyword> {
    if text.len() > 8 {
        return None;
    }
    Some(match text {
        b"!" | b"not" | b"and" | b"or" => Keyword::Prefix,
        b"if" => Keyword::If,
        b"then" => Keyword::Then,
        b"else" => Keyword::Else,
        b"elif" => Keyword::Elif,
        b"fi" => Keyword::Fi,
        b"while" | b"until" => Keyword::While,
        b"for" | b"foreach" | b"select" => Keyword::For,
        b"repeat" => Keyword::Repeat,
        b"do" => Keyword::Do,
        b"done" => Keyword::Done,
        b"case" => Keyword::Case,
        b"esac" => Keyword::Esac,
        b"function" => Keyword::Function,
        b"{" => Keyword::OpenBrace,
        b"}" => Keyword::CloseBrace,
        b"[[" => Keyword::Test,
        b"begin" => Keyword::Begin,
        b"end" => Keyword::End,
        b"switch" => Keyword::Switch,
        b"coproc" => Keyword::Coproc,
        b"always" => Keyword::Always,
        _ => return None,
    })
}

impl Reader<'_> {
    /// Acts on a word of the grammar that was read; `true` when it ends the script.
    pub(super) fn keyword(&mut self, script: &mut Script, keyword: Keyword) -> Result<bool, Lost> {
        // `time { … }`: the word before is a command of its own.
        if !script.current.words.is_empty() {
            self.end_command(script)?;
        }
        match keyword {
            Keyword::Prefix => self.begin_command(script),
            Keyword::If if std::mem::take(&mut script.is_after_else) => {}
            Keyword::If => self.push_frame(script, Kind::If)?,
            Keyword::Then => self.bind(script, Kind::If)?,
            Keyword::Else | Keyword::Elif => self.alternative(script, keyword)?,
            Keyword::Fi => self.close(script, |frame| frame.kind == Kind::If)?,
            Keyword::While => self.push_frame(script, Kind::Loop)?,
            Keyword::For => self.for_head(script)?,
            Keyword::Repeat => {
                self.push_frame(script, Kind::Loop)?;
                self.skip_blanks();
                self.head_word()?;
            }
            Keyword::Do => self.bind(script, Kind::Loop)?,
            Keyword::Done => self.close(script, |frame| frame.kind == Kind::Loop)?,
            Keyword::Case => self.case_head(script)?,
            Keyword::Esac => self.close(script, |frame| frame.kind == Kind::Case)?,
            Keyword::Function => self.function_head(script)?,
            Keyword::OpenBrace => self.push_frame(script, Kind::Brace)?,
            Keyword::CloseBrace => return self.close_brace(script),
            Keyword::Test => self.test(script)?,
            Keyword::Begin => self.push_frame(script, Kind::Begin)?,
            Keyword::End => self.close(script, |frame| match frame.kind {
                Kind::If | Kind::Loop => !frame.is_bound,
                Kind::Begin | Kind::Switch => true,
                Kind::Parenthesis | Kind::Brace | Kind::Case => false,
            })?,
            Keyword::Switch => {
                self.swallow()?;
                self.push_frame(script, Kind::Switch)?;
            }
            Keyword::Coproc => self.coprocess(script)?,
            Keyword::Always => {
                self.is_sound &= script.closed.is_some();
                self.end_list(script)?;
            }
        }
        Ok(false)
    }

    /// Notes the `then` or `do` of the innermost frame, which has to be closed from here on.
    fn bind(&mut self, script: &mut Script, kind: Kind) -> Result<(), Lost> {
        self.end_list(script)?;
        match script.innermost(kind) {
            Some(at) => script.frames[at].is_bound = true,
            None => self.is_sound = false,
        }
        Ok(())
    }

    fn alternative(&mut self, script: &mut Script, keyword: Keyword) -> Result<(), Lost> {
        self.end_list(script)?;
        let Some(at) = script.innermost(Kind::If) else {
            self.is_sound = false;
            return Ok(());
        };
        // The `else if` of fish opens nothing.
        script.is_after_else = keyword == Keyword::Else && !script.frames[at].is_bound;
        Ok(())
    }

    /// Reads a word whose text says nothing of a program: the name of a loop's variable.
    fn head_word(&mut self) -> Result<Vec<u8>, Lost> {
        if matches!(self.byte(0), None | Some(b'\n' | b';' | b'&' | b'|' | b')' | b'<' | b'>')) {
            return Ok(Vec::new());
        }
        Ok(self.word(false)?.word.text().to_vec())
    }

    /// Reads words up to the end of the simple command, for the commands that are substituted in them.
    pub(super) fn swallow(&mut self) -> Result<(), Lost> {
        loop {
            self.skip_blanks();
            match self.byte(0) {
                None | Some(b'\n' | b';' | b'&' | b'|' | b')') => return Ok(()),
                Some(b'<' | b'>') if self.byte(1) != Some(b'(') => self.at += 1,
                Some(_) => drop(self.word(false)?),
            }
        }
    }

    /// Reads the name that may stand between `coproc` and a group.
    fn coprocess(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.begin_command(script);
        script.set_background();
        self.skip_blanks();
        let rest = self.rest();
        let name = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
        let blanks = rest[name..].iter().take_while(|byte| **byte == b' ').count();
        if name > 0 && blanks > 0 && matches!(rest.get(name + blanks), Some(b'{' | b'(')) {
            self.at += name + blanks;
        }
        Ok(())
    }

    /// Reads what stands between `for` and the body.
    fn for_head(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.push_frame(script, Kind::Loop)?;
        self.skip_blanks();
        if let Some(end) = self.arithmetic_end(self.at) {
            self.arithmetic(&mut Builder::default(), 2, end)?;
            // `for ((…)) { … }` has no `do`.
            script.closed = Some(self.items.len());
            return Ok(());
        }
        loop {
            self.skip_blanks();
            match self.byte(0) {
                Some(b'(') => {
                    self.list_in_parentheses()?;
                    script.closed = Some(self.items.len());
                    return Ok(());
                }
                None | Some(b'\n' | b';' | b'&' | b'|' | b')' | b'<' | b'>') => return Ok(()),
                Some(_) => {}
            }
            let begin = self.at;
            match &*self.head_word()? {
                b"in" => return self.swallow(),
                b"do" | b"{" => {
                    self.at = begin;
                    return Ok(());
                }
                _ => {}
            }
        }
    }

    /// Reads the `(a b)` of `for x (a b)`.
    fn list_in_parentheses(&mut self) -> Result<(), Lost> {
        self.at += 1;
        loop {
            self.skip_space();
            match self.byte(0).ok_or(Lost::Unclosed)? {
                b')' => {
                    self.at += 1;
                    return Ok(());
                }
                b';' | b'&' | b'|' | b'<' | b'>' => self.at += 1,
                _ => drop(self.word(false)?),
            }
        }
    }

    fn case_head(&mut self, script: &mut Script) -> Result<(), Lost> {
        if script.frames.last().is_some_and(|frame| frame.kind == Kind::Switch) {
            return self.swallow();
        }
        self.skip_blanks();
        self.head_word()?;
        self.skip_space();
        // zsh allows a `;` there.
        self.at += usize::from(self.byte(0) == Some(b';'));
        self.skip_space();
        let begin = self.at;
        if self.head_word()? != b"in" {
            self.at = begin;
            self.is_sound = false;
            return Ok(());
        }
        self.push_frame(script, Kind::Case)?;
        self.patterns()
    }

    /// Reads the patterns in front of a branch, to the `)`; before `esac` there are none.
    pub(super) fn patterns(&mut self) -> Result<(), Lost> {
        self.skip_space();
        let is_esac = self.rest().strip_prefix(b"esac").is_some_and(|rest| {
            rest.first().is_none_or(|byte| {
                byte.is_ascii_whitespace() || matches!(byte, b';' | b')' | b'|' | b'&' | b'<' | b'>')
            })
        });
        if is_esac {
            return Ok(());
        }
        let mut builder = Builder::default();
        self.at += usize::from(self.is_pattern_in_parentheses());
        loop {
            match self.byte(0).ok_or(Lost::Unclosed)? {
                b')' => {
                    self.at += 1;
                    return Ok(());
                }
                b'(' => self.group(&mut builder, false)?,
                b'\'' | b'"' | b'\\' | b'$' | b'`' => drop(self.word_part(&mut builder, false)?),
                _ => self.at += 1,
            }
        }
    }

    /// Tells whether the `(` here is the one that may stand in front of a pattern, and not a part of it.
    fn is_pattern_in_parentheses(&mut self) -> bool {
        if self.byte(0) != Some(b'(') {
            return false;
        }
        let Some(end) = self.closing(self.at) else { return true };
        let next = self.byte(end + 1 - self.at);
        next.is_none_or(|next| next.is_ascii_whitespace() || matches!(next, b';' | b'#'))
    }

    fn function_head(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.begin_command(script);
        self.skip_blanks();
        let begin = self.at;
        if !matches!(self.byte(0), None | Some(b'\n' | b';' | b'&' | b'|' | b'(' | b')' | b'<' | b'>'))
            && self.word(true)?.word.text() == b"{"
        {
            self.at = begin;
        }
        self.skip_blanks();
        if let Some(length) = self.empty_parentheses() {
            self.at += length;
        }
        let after = self.at;
        self.skip_space();
        script.is_function_next = true;
        if matches!(self.byte(0), Some(b'{' | b'(')) {
            return Ok(());
        }
        // fish: options up to the end of the line, and a body up to `end`.
        self.at = after;
        self.swallow()?;
        self.push_frame(script, Kind::Begin)
    }

    /// Reads `[[ … ]]`, for the commands that are substituted in it.
    fn test(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.begin_command(script);
        let begin = self.items.len();
        let mut builder = Builder::default();
        let mut is_at_start = true;
        loop {
            let byte = self.byte(0).ok_or(Lost::Unclosed)?;
            let is_end = is_at_start
                && self.rest().starts_with(b"]]")
                && self.byte(2).is_none_or(|next| next.is_ascii_whitespace() || b";&|)<>".contains(&next));
            if is_end {
                self.at += 2;
                script.closed = Some(begin);
                return Ok(());
            }
            is_at_start = byte.is_ascii_whitespace();
            match byte {
                b'\'' | b'"' | b'\\' | b'$' | b'`' => drop(self.word_part(&mut builder, false)?),
                b'<' | b'>' if self.byte(1) == Some(b'(') => drop(self.word_part(&mut builder, false)?),
                _ => self.at += 1,
            }
        }
    }
}
