//! Commands, and what stands between them: the grammar that bash, zsh and fish have in common, and their own.
//!
//! Compound commands are kept on a list of what is open. A word of one shell's grammar closes what it
//! closes there; what other shells may leave open at the end (the `for x (a b) cmd` of zsh) stays open
//! without complaint. So no shell has to be guessed, and nothing is read twice.

use std::mem::take;

use karo_protocol::explain::Context;
use memchr::memmem;

use super::Contexts;
use super::item::Item;
use super::keyword::keyword;
use super::read::{End, Lexed, Lost, Reader, braces};
use super::redirect::Heredoc;
use super::word::Builder;

/// A compound command that is open.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: Kind,
    /// Whether the `then` or `do` has been seen that makes its end a duty.
    pub(super) is_bound: bool,
    /// Whether it is the body of a function.
    is_function: bool,
    /// What it stands in.
    scope: Scope,
}

/// Which compound command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Parenthesis,
    Brace,
    If,
    Loop,
    Case,
    /// `begin`, `switch` and `function` of fish.
    Begin,
    Switch,
}

impl Frame {
    /// Tells whether the text may end while it is open.
    pub(super) fn may_stay_open(&self) -> bool {
        match self.kind {
            Kind::If | Kind::Loop => !self.is_bound,
            Kind::Switch => true,
            Kind::Parenthesis | Kind::Brace | Kind::Case | Kind::Begin => false,
        }
    }
}

/// A list of pipelines that is being read. Commands are counted as items.
#[derive(Debug, Clone, Copy, Default)]
struct Scope {
    /// Where the list begins that a `&` would put into the background.
    list: usize,
    /// Where the part of the pipeline begins.
    stage: usize,
    /// Whether it reads from a pipe.
    is_piped: bool,
    /// The command that writes into that pipe, when it is one simple command.
    writer: Option<usize>,
    /// Whether a `coproc` stands before it.
    is_background: bool,
}

/// One script that is being read.
pub(super) struct Script {
    end: End,
    pub(super) frames: Vec<Frame>,
    scope: Scope,
    /// The simple command that is being read; its `start` counts once it has a word.
    pub(super) current: Item,
    /// Here-documents whose bodies begin at the next newline.
    pub(super) heredocs: Vec<Heredoc>,
    /// Where the compound command begins that has just been closed, in items.
    pub(super) closed: Option<usize>,
    /// Whether the next command is a function's body.
    pub(super) is_function_next: bool,
    /// Whether an operator waits for its right side, across newlines.
    is_awaiting: bool,
    /// Whether an `else` of fish stands before the word.
    pub(super) is_after_else: bool,
}

impl Script {
    pub(super) fn new(end: End, items: usize) -> Self {
        Self {
            end,
            frames: Vec::new(),
            scope: Scope { list: items, stage: items, ..Scope::default() },
            current: Item::default(),
            heredocs: Vec::new(),
            closed: None,
            is_function_next: false,
            is_awaiting: false,
            is_after_else: false,
        }
    }

    /// Tells whether the next word would be a keyword, an assignment or a program's name.
    fn is_at_command(&self) -> bool {
        self.current.words.is_empty()
    }

    /// Tells whether only `time` and its flags stand before the word.
    fn is_after_time(&self) -> bool {
        let mut words = self.current.words.iter();
        words.next().is_some_and(|word| word.text() == b"time") && words.all(|word| word.text() == b"-p")
    }

    /// Tells whether a group is open, or the script itself is one.
    fn closes_brace(&self) -> bool {
        self.end == End::Brace || self.innermost(Kind::Brace).is_some()
    }

    pub(super) fn set_background(&mut self) {
        self.scope.is_background = true;
    }

    /// Returns the innermost frame of a kind.
    pub(super) fn innermost(&self, kind: Kind) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.kind == kind)
    }
}

impl Reader<'_> {
    /// Reads the whole text; once more, with the quotes of fish, if that could be why it was not understood.
    pub(super) fn any_script(&mut self, contexts: Contexts) -> Result<(), Lost> {
        let result = self.script(End::Text);
        if result.is_ok() && self.is_sound || memmem::find(self.source.text, b"\\'").is_none() {
            return result;
        }
        let (items, assignments) = (take(&mut self.items), take(&mut self.assignments));
        self.restart(contexts);
        self.is_fish = true;
        if self.script(End::Text).is_err() || !self.is_sound {
            (self.items, self.assignments) = (items, assignments);
            (self.is_fish, self.is_sound) = (false, false);
            return result;
        }
        Ok(())
    }

    /// Reads a script to its end.
    pub(super) fn script(&mut self, end: End) -> Result<(), Lost> {
        self.enter()?;
        let mut script = Script::new(end, self.items.len());
        loop {
            self.skip_blanks();
            let Some(byte) = self.byte(0) else {
                self.finish(&mut script)?;
                if end == End::Text { break } else { return Err(Lost::Unclosed) }
            };
            let is_over = match byte {
                b'\n' => self.newline(&mut script).map(|()| false)?,
                b'#' => {
                    self.skip_comment();
                    false
                }
                b';' | b'&' | b'|' => self.operator(&mut script).map(|()| false)?,
                b'(' => self.open(&mut script).map(|()| false)?,
                b')' => self.close_parenthesis(&mut script)?,
                b'<' if self.placeholder().is_some() => self.token(&mut script)?,
                b'<' | b'>' if self.byte(1) != Some(b'(') => {
                    self.redirection(&mut script, None).map(|()| false)?
                }
                _ => self.token(&mut script)?,
            };
            if is_over {
                break;
            }
        }
        self.leave();
        Ok(())
    }

    /// Reads a word where the grammar looks at words; `true` when it ends the script.
    fn token(&mut self, script: &mut Script) -> Result<bool, Lost> {
        let start = self.at;
        let is_first = script.is_at_command();
        let lexed = self.word(is_first)?;
        if self.at == start {
            // No byte that leads here ends a word; if one did, it would be a separator of nothing.
            self.at += 1;
            return Ok(false);
        }
        script.is_awaiting = false;
        let is_redirected = matches!(self.byte(0), Some(b'<' | b'>')) && self.placeholder().is_none();
        if is_redirected && is_descriptor(&lexed) {
            return self.redirection(script, Some(&lexed.word)).map(|()| false);
        }
        let is_bare = !lexed.is_quoted() && script.current.assignments.is_empty();
        if is_bare
            && (is_first || script.is_after_time())
            && let Some(found) = keyword(lexed.word.text()).filter(|found| is_first || found.opens())
        {
            return self.keyword(script, found);
        }
        // zsh needs no `;` before it.
        let is_begun = !is_first || !script.current.assignments.is_empty();
        if is_begun && !lexed.is_quoted() && lexed.word.text() == b"}" && script.closes_brace() {
            return self.close_brace(script);
        }
        self.begin_command(script);
        if is_first {
            if lexed.is_assignment() {
                script.current.assignments.push(lexed.word);
                return Ok(false);
            }
            script.current.start = start;
            if lexed.unquoted > 0
                && let Some(words) = braces(&lexed.word)
            {
                script.current.words = words;
                return Ok(false);
            }
        }
        script.current.words.push(lexed.word);
        Ok(false)
    }

    /// Notes that a command begins, which is wrong right behind a compound one.
    pub(super) fn begin_command(&mut self, script: &mut Script) {
        script.is_after_else = false;
        if script.closed.take().is_some() {
            // `if [[ … ]] cmd` and `for x (…) cmd` of zsh.
            self.is_sound &= script.frames.last().is_some_and(|frame| frame.may_stay_open());
            self.next_stage(script);
        }
    }

    fn next_stage(&mut self, script: &mut Script) {
        script.scope = Scope { stage: self.items.len(), is_piped: false, writer: None, ..script.scope };
    }

    /// Ends the simple command that is being read.
    pub(super) fn end_command(&mut self, script: &mut Script) -> Result<(), Lost> {
        script.is_after_else = false;
        if script.current.words.is_empty() {
            self.assignments.append(&mut script.current.assignments);
            script.current = Item::default();
            script.heredocs.retain(|heredoc| !heredoc.is_of_current());
            return Ok(());
        }
        let mut item = take(&mut script.current);
        item.contexts = item.contexts.with(self.contexts);
        item.level = self.level;
        if script.scope.is_piped {
            item.contexts.insert(Context::PipeIn);
            item.piped_from = script.scope.writer;
        }
        if take(&mut script.is_function_next) {
            item.contexts.insert(Context::Function);
        }
        for heredoc in &mut script.heredocs {
            heredoc.belongs_to(self.items.len());
        }
        self.push(item)
    }

    pub(super) fn end_list(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.end_command(script)?;
        if script.scope.is_background {
            self.mark(script.scope.list, Context::Background);
        }
        script.closed = None;
        script.is_awaiting = false;
        script.scope = Scope { list: self.items.len(), stage: self.items.len(), ..Scope::default() };
        Ok(())
    }

    /// Adds a context to all commands from an item on.
    fn mark(&mut self, from: usize, context: Context) {
        for item in &mut self.items[from..] {
            item.contexts.insert(context);
        }
    }

    /// Adds a context to the commands from an item on that are not in a substitution of their own.
    fn mark_here(&mut self, from: usize, context: Context) {
        let level = self.level;
        for item in self.items[from..].iter_mut().filter(|item| item.level == level) {
            item.contexts.insert(context);
        }
    }

    fn newline(&mut self, script: &mut Script) -> Result<(), Lost> {
        if script.is_awaiting && script.is_at_command() {
            self.at += 1;
            self.bodies(script);
            return Ok(());
        }
        self.end_list(script)?;
        self.at += 1;
        self.bodies(script);
        Ok(())
    }

    pub(super) fn operator(&mut self, script: &mut Script) -> Result<(), Lost> {
        let rest = self.rest();
        let starts = |operator: &[u8]| rest.starts_with(operator);
        if starts(b"&>") {
            return self.redirection(script, None);
        }
        if starts(b";;") || ((starts(b";&") || starts(b";|")) && script.innermost(Kind::Case).is_some()) {
            return self.next_case(script);
        }
        if starts(b"&&") || starts(b"||") {
            self.end_command(script)?;
            self.next_stage(script);
            script.closed = None;
            script.is_awaiting = true;
            self.at += 2;
            return Ok(());
        }
        if starts(b"|") || (starts(b"&|") && !is_last(&rest[2..])) {
            return self.pipe(script);
        }
        self.end_command(script)?;
        let is_background = starts(b"&");
        if is_background {
            self.mark(script.scope.list, Context::Background);
        }
        // `&|` and `&!` of zsh.
        self.at += if starts(b"&|") || (starts(b"&!") && is_last(&rest[2..])) { 2 } else { 1 };
        self.end_list(script)
    }

    fn pipe(&mut self, script: &mut Script) -> Result<(), Lost> {
        let is_simple = !script.is_at_command();
        self.end_command(script)?;
        self.mark_here(script.scope.stage, Context::PipeOut);
        let writer = if is_simple { self.items.len().checked_sub(1) } else { None };
        script.scope = Scope { stage: self.items.len(), is_piped: true, writer, ..script.scope };
        script.closed = None;
        script.is_awaiting = true;
        // `|&` of bash and zsh, `&|` of fish.
        self.at += if matches!(self.byte(1), Some(b'&' | b'|')) { 2 } else { 1 };
        Ok(())
    }

    /// Reads a `(` that no word stands in front of.
    fn open(&mut self, script: &mut Script) -> Result<(), Lost> {
        script.is_awaiting = false;
        let is_definition = script.current.words.len() == 1 && self.empty_parentheses().is_some();
        if is_definition {
            script.current = Item::default();
        } else if !script.is_at_command() && script.is_after_time() {
            self.end_command(script)?;
        }
        if !script.is_at_command() {
            return self.token(script).map(|_| ());
        }
        // Of `name()` and of the nameless function of zsh.
        if let Some(length) = self.empty_parentheses() {
            self.at += length;
            script.is_function_next = true;
            return Ok(());
        }
        if let Some(end) = self.arithmetic_end(self.at) {
            self.begin_command(script);
            self.arithmetic(&mut Builder::default(), 2, end)?;
            script.closed = Some(self.items.len());
            return Ok(());
        }
        self.at += 1;
        self.push_frame(script, Kind::Parenthesis)
    }

    /// Returns the length of `()`, blanks included, if that stands here.
    pub(super) fn empty_parentheses(&self) -> Option<usize> {
        let inner = self.rest().strip_prefix(b"(")?;
        let blanks = inner.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        (inner.get(blanks) == Some(&b')')).then_some(blanks + 2)
    }

    /// Opens a compound command.
    pub(super) fn push_frame(&mut self, script: &mut Script, kind: Kind) -> Result<(), Lost> {
        self.begin_command(script);
        self.assignments.append(&mut script.current.assignments);
        self.enter()?;
        let items = self.items.len();
        let scope = Scope { list: items, stage: items, ..Scope::default() };
        let scope = std::mem::replace(&mut script.scope, scope);
        let is_function = take(&mut script.is_function_next);
        script.frames.push(Frame { kind, is_bound: false, is_function, scope });
        Ok(())
    }

    /// Closes the innermost frame that `closes` names, and those within it.
    pub(super) fn close(&mut self, script: &mut Script, closes: impl Fn(&Frame) -> bool) -> Result<(), Lost> {
        self.end_list(script)?;
        let Some(at) = script.frames.iter().rposition(closes) else {
            self.is_sound = false;
            return Ok(());
        };
        self.is_sound &= script.frames[at + 1..].iter().all(Frame::may_stay_open);
        while script.frames.len() > at {
            self.pop_frame(script);
        }
        Ok(())
    }

    fn pop_frame(&mut self, script: &mut Script) {
        let Some(frame) = script.frames.pop() else { return };
        self.leave();
        script.scope = frame.scope;
        script.closed = Some(frame.scope.stage);
        if frame.is_function {
            self.mark(frame.scope.stage, Context::Function);
        }
        if frame.scope.is_piped {
            self.mark_here(frame.scope.stage, Context::PipeIn);
        }
    }

    /// Closes all that may stay open at the end of a script.
    fn finish(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.end_list(script)?;
        self.no_bodies(script);
        self.is_sound &= script.frames.iter().all(Frame::may_stay_open);
        while !script.frames.is_empty() {
            self.pop_frame(script);
            self.end_list(script)?;
        }
        Ok(())
    }

    fn close_parenthesis(&mut self, script: &mut Script) -> Result<bool, Lost> {
        if script.innermost(Kind::Parenthesis).is_some() {
            self.close(script, |frame| frame.kind == Kind::Parenthesis)?;
            self.at += 1;
            return Ok(false);
        }
        self.at += 1;
        if script.end == End::Parenthesis {
            self.finish(script)?;
            return Ok(true);
        }
        self.is_sound = false;
        self.end_list(script)?;
        Ok(false)
    }

    /// Reads `}`; `true` when it ends the script.
    pub(super) fn close_brace(&mut self, script: &mut Script) -> Result<bool, Lost> {
        if script.end == End::Brace && script.innermost(Kind::Brace).is_none() {
            self.finish(script)?;
            return Ok(true);
        }
        self.close(script, |frame| frame.kind == Kind::Brace)?;
        Ok(false)
    }

    /// Ends one branch of a `case`, and reads the patterns of the next.
    fn next_case(&mut self, script: &mut Script) -> Result<(), Lost> {
        self.end_list(script)?;
        self.at += if self.rest().starts_with(b";;&") { 3 } else { 2 };
        let Some(at) = script.innermost(Kind::Case) else {
            self.is_sound = false;
            return Ok(());
        };
        self.is_sound &= script.frames[at + 1..].iter().all(Frame::may_stay_open);
        while script.frames.len() > at + 1 {
            self.pop_frame(script);
        }
        self.end_list(script)?;
        self.patterns()
    }
}

/// Tells whether a word in front of a redirection says which descriptor is meant.
fn is_descriptor(lexed: &Lexed) -> bool {
    let text = lexed.word.text();
    let is_name = |name: &[u8]| name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let braced = text.strip_prefix(b"{").and_then(|text| text.strip_suffix(b"}"));
    !lexed.is_quoted()
        && (text.iter().all(u8::is_ascii_digit)
            || braced.is_some_and(|name| !name.is_empty() && is_name(name)))
}

/// Tells whether nothing of a command follows.
fn is_last(rest: &[u8]) -> bool {
    rest.iter()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\r'))
        .is_none_or(|byte| matches!(byte, b'\n' | b';' | b'#' | b')'))
}
