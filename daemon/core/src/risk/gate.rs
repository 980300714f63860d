//! What a file of rules must be before any YAML library sees it.
//!
//! A library that expands aliases can be made to build gigabytes from a page, and one that recurses can be made
//! to run out of stack. Sigma needs neither aliases nor tags nor depth, so a file with them is refused by a scan
//! that is linear in its bytes and keeps nothing but the list of open indents.

use super::limits::{FILE_BYTES_MAX, NESTING_MAX};

/// One document of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// Line of the file where it begins, counted from 1.
    pub(super) line: u32,
    /// Its text, without the mark that begins it.
    pub(super) text: &'a str,
}

/// What is wrong with a file, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Flaw {
    /// The line, counted from 1, where one can be named.
    pub(super) line: Option<u32>,
    /// In words.
    pub(super) reason: String,
}

impl Flaw {
    pub(super) fn new(line: Option<u32>, reason: impl Into<String>) -> Self {
        Self { line, reason: reason.into() }
    }
}

/// Splits a file into its documents.
///
/// # Errors
///
/// A flaw, where the file is too large, not UTF-8, nested too deeply, or uses anchors, aliases or tags.
pub(super) fn documents(bytes: &[u8]) -> Result<Vec<Document<'_>>, Flaw> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Flaw::new(None, format!("{} bytes long, and {FILE_BYTES_MAX} is the most", bytes.len())));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Flaw::new(Some(line_at(bytes, error.valid_up_to())), "not UTF-8"))?;
    let mut documents = Vec::new();
    let mut scan = Scan::default();
    let (mut begin, mut begin_line, mut at) = (0, 1, 0);
    for (line, number) in text.split_inclusive('\n').zip(1..) {
        if !scan.is_open() && is_mark(line) {
            documents.push(Document { line: begin_line, text: &text[begin..at] });
            // What stands behind the mark on its line belongs to the document.
            (begin, begin_line) = (at + 3, number);
            scan = Scan::default();
            scan.line(&line[3..], number)?;
        } else {
            scan.line(line, number)?;
        }
        at += line.len();
    }
    documents.push(Document { line: begin_line, text: &text[begin..] });
    documents.retain(|document| !is_blank(document.text));
    Ok(documents)
}

fn line_at(bytes: &[u8], at: usize) -> u32 {
    let newlines = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
    u32::try_from(newlines + 1).unwrap_or(u32::MAX)
}

/// Tells whether a line begins a document.
fn is_mark(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "..."
    })
}

/// Where in its document the scan stands.
#[derive(Debug, Default)]
struct Scan {
    /// Columns at which collections are open, outermost first.
    indents: Vec<usize>,
    /// How many `[` and `{` are open.
    flow: usize,
    /// The quote that is open.
    quote: Option<u8>,
    /// A block of literal text is open: it ends with a line that is indented no deeper than this.
    block: Option<usize>,
    /// The last line ended in plain text: a deeper line goes on with it.
    plain: bool,
}

impl Scan {
    /// Tells whether a line may belong to a text that began on a line above.
    fn is_open(&self) -> bool {
        self.quote.is_some()
    }

    fn line(&mut self, line: &str, number: u32) -> Result<(), Flaw> {
        let bytes = line.trim_end_matches(['\n', '\r']).as_bytes();
        let indent = bytes.iter().take_while(|byte| **byte == b' ').count();
        if indent == bytes.len() && self.quote.is_none() {
            return Ok(());
        }
        if let Some(outer) = self.block {
            if indent > outer {
                return Ok(());
            }
            self.block = None;
        }
        if self.quote.is_none() && self.flow == 0 {
            let goes_on = self.plain && self.indents.last().is_some_and(|last| indent > *last);
            if goes_on {
                return Ok(());
            }
            self.indents.retain(|column| *column < indent);
            self.indents.push(indent);
        }
        self.plain = false;
        self.nodes(bytes, indent, number)
    }

    /// Goes through the nodes of a line from a column on.
    fn nodes(&mut self, bytes: &[u8], mut at: usize, number: u32) -> Result<(), Flaw> {
        // Whether a node may begin here, and the column of the dash that it would stand behind.
        let mut begins = self.quote.is_none();
        let mut dash = None;
        while let Some(&byte) = bytes.get(at) {
            let next = bytes.get(at + 1).copied().unwrap_or(b' ');
            if self.quote.is_some() {
                at += self.in_quotes(byte, next);
                continue;
            }
            match byte {
                b' ' | b'\t' => {
                    at += 1;
                    continue;
                }
                b'#' if at == 0 || matches!(bytes[at - 1], b' ' | b'\t') => break,
                b'&' | b'*' | b'!' if begins => return Err(Flaw::new(Some(number), no_such_node(byte))),
                b'|' | b'>' if begins && self.flow == 0 => {
                    self.block = Some(dash.unwrap_or_else(|| self.indents.last().copied().unwrap_or(0)));
                    return Ok(());
                }
                b'-' | b'?' if begins && self.flow == 0 && matches!(next, b' ' | b'\t') => {
                    dash = Some(at);
                    self.indents
                        .extend(bytes[at + 1..].iter().position(|byte| *byte != b' ').map(|n| at + 1 + n));
                    self.is_shallow(number)?;
                    at += 1;
                    continue;
                }
                _ => {}
            }
            dash = None;
            (begins, self.plain) = match byte {
                b'"' | b'\'' if begins => {
                    self.quote = Some(byte);
                    (false, false)
                }
                b'[' | b'{' if begins || self.flow > 0 => {
                    self.flow += 1;
                    self.is_shallow(number)?;
                    (true, false)
                }
                b']' | b'}' if self.flow > 0 => {
                    self.flow -= 1;
                    (false, false)
                }
                b',' if self.flow > 0 => (true, false),
                b':' if self.flow > 0 || matches!(next, b' ' | b'\t') => (true, false),
                _ => (false, self.flow == 0),
            };
            at += 1;
        }
        self.is_shallow(number)
    }

    /// Returns how many bytes of a quoted text this one takes; leaves the quotes behind its last.
    fn in_quotes(&mut self, byte: u8, next: u8) -> usize {
        match (self.quote, byte) {
            (Some(b'"'), b'\\') => 2,
            (Some(b'\''), b'\'') if next == b'\'' => 2,
            (quote, _) if quote == Some(byte) => {
                self.quote = None;
                1
            }
            _ => 1,
        }
    }

    fn is_shallow(&self, number: u32) -> Result<(), Flaw> {
        if self.indents.len() + self.flow <= NESTING_MAX {
            return Ok(());
        }
        Err(Flaw::new(Some(number), format!("nested deeper than {NESTING_MAX} levels")))
    }
}

fn no_such_node(byte: u8) -> &'static str {
    match byte {
        b'&' => "an anchor (&): write the value where it is needed",
        b'*' => "an alias (*), or text that begins with *: write the value, or put it in quotes",
        _ => "a tag (!), or text that begins with !: leave it out, or put it in quotes",
    }
}
