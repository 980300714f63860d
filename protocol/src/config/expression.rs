//! Expressions over text, for secrets that only their user knows: matched in time linear in the text.
//!
//! A small part of what is known as regular expressions: no look-around and no back-references, so that one pass
//! over the text is enough (Thompson 1968; Pike's machine keeps the places of the group). Time is at most the
//! length of the text times 512 steps a byte.

use std::collections::BTreeSet;
use std::ops::Range;

/// Bytes of an expression at the most.
const EXPRESSION_BYTES_MAX: usize = 1024;

/// States that an expression may compile to: each may cost one step a byte.
const STATES_MAX: usize = 512;

/// Parentheses within parentheses at the most.
const DEPTH_MAX: usize = 16;

/// A checked expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expression {
    states: Vec<State>,
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// One byte of the set.
    Byte(Box<Set>),
    /// Either way, the first one preferred.
    Split(usize, usize),
    Jump(usize),
    /// A place of the group: 0 its start, 1 its end.
    Mark(usize),
    /// Nothing is consumed.
    Assert(Assertion),
    Match,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Assertion {
    Start,
    End,
    Boundary,
}

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Set([u64; 4]);

impl Set {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte >> 6)] |= 1 << (byte & 63);
    }

    const fn contains(&self, byte: u8) -> bool {
        self.0[(byte >> 6) as usize] >> (byte & 63) & 1 != 0
    }

    fn of(is: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::default();
        (0..=u8::MAX).filter(|byte| is(*byte)).for_each(|byte| set.insert(byte));
        set
    }

    fn with(mut self, other: Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine |= theirs);
        self
    }

    fn without(self, is_negated: bool) -> Self {
        if is_negated { Self(self.0.map(|bits| !bits)) } else { self }
    }
}

/// What an expression found: all of it, and its first group if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// All that matched.
    pub whole: Range<usize>,
    /// What the first pair of parentheses matched.
    pub group: Option<Range<usize>>,
}

/// One way through the expression, and where it has been.
#[derive(Debug, Clone, Copy)]
struct Thread {
    state: usize,
    start: usize,
    group: [Option<usize>; 2],
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What would be accepted, in words.
    pub fn new(source: &str) -> Result<Self, String> {
        if source.is_empty() {
            return Err("an expression that is not empty".to_owned());
        }
        if source.len() > EXPRESSION_BYTES_MAX {
            return Err(format!("an expression of at most {EXPRESSION_BYTES_MAX} bytes"));
        }
        let mut parser = Parser { bytes: source.as_bytes(), at: 0, groups: 0, depth: 0 };
        let tree = parser.alternatives()?;
        if parser.at < parser.bytes.len() {
            return Err(parser.wrong("no `)` without its `(`"));
        }
        let mut states = Vec::new();
        compile(&tree, &mut states)?;
        states.push(State::Match);
        let expression = Self { states, source: source.to_owned() };
        if expression.find(b"", 0).is_some() {
            return Err("an expression that does not match the empty text".to_owned());
        }
        Ok(expression)
    }

    /// Returns the expression as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Finds the first match from `from` on, of the longest that begin there.
    pub fn find(&self, text: &[u8], from: usize) -> Option<Found> {
        let mut best: Option<(Thread, usize)> = None;
        let mut now: Vec<Thread> = Vec::new();
        let mut next: Vec<Thread> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut at = from;
        loop {
            if best.is_none() {
                self.add(&mut now, &mut seen, Thread { state: 0, start: at, group: [None; 2] }, text, at);
            }
            if now.is_empty() && best.is_some() {
                break;
            }
            seen.clear();
            for thread in now.drain(..) {
                if best.is_some_and(|(best, _)| best.start < thread.start) {
                    continue;
                }
                match &self.states[thread.state] {
                    State::Match => best = Some((thread, at)),
                    State::Byte(set) if text.get(at).is_some_and(|byte| set.contains(*byte)) => {
                        let thread = Thread { state: thread.state + 1, ..thread };
                        self.add(&mut next, &mut seen, thread, text, at + 1);
                    }
                    State::Byte(_)
                    | State::Split(..)
                    | State::Jump(_)
                    | State::Mark(_)
                    | State::Assert(_) => {}
                }
            }
            std::mem::swap(&mut now, &mut next);
            at += 1;
            if at > text.len() {
                break;
            }
        }
        best.map(|(thread, end)| Found {
            whole: thread.start..end,
            group: thread.group[0].zip(thread.group[1]).map(|(start, end)| start..end),
        })
    }

    /// Tells whether the expression describes all of a text.
    pub fn matches(&self, text: &[u8]) -> bool {
        self.find(text, 0).is_some_and(|found| found.whole == (0..text.len()))
    }

    /// Adds a thread, and those that it stands for without a byte being read.
    fn add(
        &self,
        list: &mut Vec<Thread>,
        seen: &mut BTreeSet<usize>,
        thread: Thread,
        text: &[u8],
        at: usize,
    ) {
        let mut open = vec![thread];
        while let Some(thread) = open.pop() {
            if !seen.insert(thread.state) {
                continue;
            }
            let to = |state| Thread { state, ..thread };
            match &self.states[thread.state] {
                State::Split(first, second) => open.extend([to(*second), to(*first)]),
                State::Jump(state) => open.push(to(*state)),
                State::Mark(slot) => {
                    let mut marked = to(thread.state + 1);
                    marked.group[*slot] = Some(at);
                    open.push(marked);
                }
                State::Assert(assertion) => {
                    if assertion.holds(text, at) {
                        open.push(to(thread.state + 1));
                    }
                }
                State::Byte(_) | State::Match => list.push(thread),
            }
        }
    }
}

impl Assertion {
    fn holds(self, text: &[u8], at: usize) -> bool {
        let is_word =
            |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        match self {
            Self::Start => at == 0,
            Self::End => at == text.len(),
            Self::Boundary => {
                is_word(at.checked_sub(1).and_then(|before| text.get(before))) != is_word(text.get(at))
            }
        }
    }
}

/// An expression, read.
#[derive(Debug)]
enum Tree {
    Set(Set),
    Assert(Assertion),
    Sequence(Vec<Self>),
    Either(Vec<Self>),
    Repeat(Box<Self>, usize, Option<usize>),
    Group(Box<Self>, bool),
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    groups: usize,
    depth: usize,
}

impl Parser<'_> {
    fn wrong(&self, accepted: &str) -> String {
        format!("{accepted} (at byte {})", self.at + 1)
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn alternatives(&mut self) -> Result<Tree, String> {
        let mut either = vec![self.sequence()?];
        while self.take(b'|') {
            either.push(self.sequence()?);
        }
        Ok(if either.len() == 1 { either.remove(0) } else { Tree::Either(either) })
    }

    fn sequence(&mut self) -> Result<Tree, String> {
        let mut parts = Vec::new();
        while let Some(byte) = self.bytes.get(self.at).filter(|byte| !matches!(byte, b'|' | b')')) {
            if matches!(byte, b'*' | b'+' | b'?') {
                return Err(self.wrong("something before `*`, `+`, `?`"));
            }
            let atom = self.atom()?;
            parts.push(self.repeated(atom)?);
        }
        Ok(Tree::Sequence(parts))
    }

    fn atom(&mut self) -> Result<Tree, String> {
        let byte = self.bytes[self.at];
        self.at += 1;
        Ok(match byte {
            b'(' => return self.group(),
            b'[' => return self.class(),
            b'.' => Tree::Set(Set::of(|byte| byte != b'\n')),
            b'^' => Tree::Assert(Assertion::Start),
            b'$' => Tree::Assert(Assertion::End),
            b'\\' if self.take(b'b') => Tree::Assert(Assertion::Boundary),
            b'\\' => Tree::Set(self.escape()?),
            literal => Tree::Set(Set::of(|byte| byte == literal)),
        })
    }

    fn group(&mut self) -> Result<Tree, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.wrong(&format!("at most {DEPTH_MAX} parentheses within one another")));
        }
        let is_plain = self.bytes[self.at..].starts_with(b"?:");
        if is_plain {
            self.at += 2;
        } else if self.bytes.get(self.at) == Some(&b'?') {
            return Err(self.wrong("`(?:`, and nothing else behind `(?`"));
        } else {
            self.groups += 1;
        }
        let is_first = !is_plain && self.groups == 1;
        let inner = self.alternatives()?;
        if !self.take(b')') {
            return Err(self.wrong("a `)` for each `(`"));
        }
        self.depth -= 1;
        Ok(Tree::Group(Box::new(inner), is_first))
    }

    fn class(&mut self) -> Result<Tree, String> {
        let is_negated = self.take(b'^');
        let mut set = Set::default();
        let first = self.at;
        loop {
            let byte = *self.bytes.get(self.at).ok_or_else(|| self.wrong("a `]` for each `[`"))?;
            self.at += 1;
            if byte == b']' && self.at > first + 1 {
                return Ok(Tree::Set(set.without(is_negated)));
            }
            let low = if byte == b'\\' { self.escape()? } else { Set::of(|other| other == byte) };
            let high = match self.bytes.get(self.at..self.at + 2) {
                Some([b'-', high]) if *high != b']' && byte != b'\\' => *high,
                _ => {
                    set = set.with(low);
                    continue;
                }
            };
            if high < byte {
                return Err(self.wrong("a range from low to high"));
            }
            self.at += 2;
            set = set.with(Set::of(|other| (byte..=high).contains(&other)));
        }
    }

    fn escape(&mut self) -> Result<Set, String> {
        let byte = *self.bytes.get(self.at).ok_or_else(|| self.wrong("something behind `\\`"))?;
        self.at += 1;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        Ok(match byte {
            b'd' => Set::of(|byte| byte.is_ascii_digit()),
            b'D' => Set::of(|byte| !byte.is_ascii_digit()),
            b'w' => Set::of(is_word),
            b'W' => Set::of(|byte| !is_word(byte)),
            b's' => Set::of(|byte| byte.is_ascii_whitespace()),
            b'S' => Set::of(|byte| !byte.is_ascii_whitespace()),
            b'n' => Set::of(|byte| byte == b'\n'),
            b't' => Set::of(|byte| byte == b'\t'),
            letter if letter.is_ascii_alphanumeric() => {
                return Err(self.wrong("one of \\b \\d \\D \\w \\W \\s \\S \\n \\t, or a sign behind `\\`"));
            }
            literal => Set::of(|byte| byte == literal),
        })
    }

    fn repeated(&mut self, atom: Tree) -> Result<Tree, String> {
        let (least, most) = match self.bytes.get(self.at) {
            Some(b'*') => (0, None),
            Some(b'+') => (1, None),
            Some(b'?') => (0, Some(1)),
            Some(b'{') => {
                let (least, most) = self.bounds()?;
                return Ok(Tree::Repeat(Box::new(atom), least, most));
            }
            _ => return Ok(atom),
        };
        self.at += 1;
        if self.bytes.get(self.at).is_some_and(|byte| matches!(byte, b'*' | b'+' | b'?')) {
            return Err(self.wrong("one of `*`, `+`, `?` at a time"));
        }
        Ok(Tree::Repeat(Box::new(atom), least, most))
    }

    /// Reads `{3}`, `{3,}` or `{3,5}`.
    fn bounds(&mut self) -> Result<(usize, Option<usize>), String> {
        let accepted = "bounds as {3}, {3,} or {3,5}, each at most 512";
        let rest = &self.bytes[self.at + 1..];
        let end = rest.iter().position(|byte| *byte == b'}').ok_or_else(|| self.wrong(accepted))?;
        let inner = std::str::from_utf8(&rest[..end]).map_err(|_| self.wrong(accepted))?;
        let number = |text: &str| match text.parse::<usize>() {
            Ok(number) if number <= STATES_MAX => Ok(number),
            Ok(_) | Err(_) => Err(self.wrong(accepted)),
        };
        let bounds = match inner.split_once(',') {
            None => (number(inner)?, Some(number(inner)?)),
            Some((least, "")) => (number(least)?, None),
            Some((least, most)) => (number(least)?, Some(number(most)?)),
        };
        if bounds.1.is_some_and(|most| most < bounds.0 || most == 0) {
            return Err(self.wrong(accepted));
        }
        self.at += end + 2;
        Ok(bounds)
    }
}

fn compile(tree: &Tree, states: &mut Vec<State>) -> Result<(), String> {
    if states.len() > STATES_MAX {
        return Err(format!(
            "an expression of at most {STATES_MAX} states: a shorter one, or smaller bounds"
        ));
    }
    match tree {
        Tree::Set(set) => states.push(State::Byte(Box::new(*set))),
        Tree::Assert(assertion) => states.push(State::Assert(*assertion)),
        Tree::Sequence(parts) => parts.iter().try_for_each(|part| compile(part, states))?,
        Tree::Group(inner, true) => {
            states.push(State::Mark(0));
            compile(inner, states)?;
            states.push(State::Mark(1));
        }
        Tree::Group(inner, false) => compile(inner, states)?,
        Tree::Either(ways) => compile_either(ways, states)?,
        Tree::Repeat(inner, least, most) => {
            (0..*least).try_for_each(|_| compile(inner, states))?;
            match most {
                None => {
                    let split = states.len();
                    states.push(State::Match);
                    compile(inner, states)?;
                    states.push(State::Jump(split));
                    states[split] = State::Split(split + 1, states.len());
                }
                Some(most) => compile_optional(inner, most - least, states)?,
            }
        }
    }
    Ok(())
}

fn compile_either(ways: &[Tree], states: &mut Vec<State>) -> Result<(), String> {
    let mut jumps = Vec::new();
    for (place, way) in ways.iter().enumerate() {
        let split = states.len();
        let is_last = place + 1 == ways.len();
        if !is_last {
            states.push(State::Match);
        }
        compile(way, states)?;
        if !is_last {
            jumps.push(states.len());
            states.push(State::Match);
            states[split] = State::Split(split + 1, states.len());
        }
    }
    let end = states.len();
    jumps.into_iter().for_each(|jump| states[jump] = State::Jump(end));
    Ok(())
}

fn compile_optional(inner: &Tree, count: usize, states: &mut Vec<State>) -> Result<(), String> {
    let mut splits = Vec::new();
    for _ in 0..count {
        splits.push(states.len());
        states.push(State::Match);
        compile(inner, states)?;
    }
    let end = states.len();
    splits.into_iter().for_each(|split| states[split] = State::Split(split + 1, end));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(expression: &str, text: &str) -> Option<String> {
        let expression = Expression::new(expression).expect("the expression is sound");
        let found = expression.find(text.as_bytes(), 0)?;
        Some(text[found.group.unwrap_or(found.whole)].to_owned())
    }

    #[test]
    fn expressions_find_what_they_describe() {
        let cases = [
            ("acme_[0-9a-f]{4}", "x acme_00ff7 y", Some("acme_00ff")),
            ("acme_[0-9a-f]{4,}", "x acme_00ff7 y", Some("acme_00ff7")),
            (r"\bT-\d+", "aT-1 T-22", Some("T-22")),
            ("key=([^ ]+) x", "key=ab1 y key=ab2 x", Some("ab2")),
            ("a|bc|d", "xbcd", Some("bc")),
            ("(?:ab)+c?", "ababc", Some("ababc")),
            ("^a.b$", "a\u{e9}b", None),
            ("^a..b$", "a\u{e9}b", Some("a\u{e9}b")),
            (r"[\d\-]{2,3}", "x1-23", Some("1-2")),
            ("[]a]+", "x]a", Some("]a")),
            ("x{2}", "x", None),
        ];
        for (expression, text, expected) in cases {
            assert_eq!(found(expression, text).as_deref(), expected, "{expression} in {text}");
        }
    }

    #[test]
    fn what_cannot_be_used_is_refused_in_words() {
        for expression in [
            "",
            "(",
            ")",
            "a)",
            "[a",
            "*",
            "a**",
            "a{3",
            "a{5,2}",
            "a{9999}",
            "(?=a)",
            "\\",
            "\\p",
            "a*",
            "(a|)",
            "[z-a]",
            "(((((((((((((((((a)))))))))))))))))",
            "((a{99}){99}){99}",
        ] {
            assert!(Expression::new(expression).is_err(), "{expression}");
        }
        assert!(Expression::new(&"a".repeat(1025)).is_err());
    }

    #[test]
    fn an_expression_that_explodes_elsewhere_is_linear() {
        let expression = Expression::new("(a+)+b").expect("the expression is sound");
        assert_eq!(expression.find(&b"a".repeat(20_000), 0), None);
    }

    #[test]
    fn all_of_a_text_or_none() {
        let expression = Expression::new("a+").expect("the expression is sound");
        assert!(expression.matches(b"aaa"));
        assert!(!expression.matches(b"aab") && !expression.matches(b"") && !expression.matches(b"baa"));
    }
}
