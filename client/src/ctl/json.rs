//! JSON, one object a line, that does nothing to a terminal: what a terminal would obey or hide is
//! written as `\u` escapes, which read back as the same text.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use super::exit::Trouble;
use super::shown::is_active;

/// Writes one value on one line.
///
/// # Errors
///
/// When the line cannot be written.
pub fn write_line<T: Serialize>(out: &mut dyn Write, value: &T) -> Result<(), Trouble> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Safe))?;
    out.write_all(b"\n")?;
    Ok(())
}

struct Safe;

impl Formatter for Safe {
    /// Writes JSON that somebody else made: what a terminal would obey stands in strings only, but for the
    /// tabs and the like that JSON allows between values.
    fn write_raw_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for (place, part) in fragment.split(['\t', '\r', '\n']).enumerate() {
            if place > 0 {
                out.write_all(b" ")?;
            }
            self.write_string_fragment(out, part)?;
        }
        Ok(())
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.is_ascii() && !fragment.bytes().any(|byte| byte == 0x7f) {
            return out.write_all(fragment.as_bytes());
        }
        let mut text = String::with_capacity(fragment.len() + 16);
        for c in fragment.chars() {
            if is_active(c) {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(text, "\\u{unit:04x}").expect("a string takes whatever is written to it");
                }
            } else {
                text.push(c);
            }
        }
        out.write_all(text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_is_escaped_and_reads_back() {
        let text = "a\x1b[31m\u{7f}\u{9b}\u{202e}\u{e0041}\u{20ac}\"\n";
        let mut line = Vec::new();
        write_line(&mut line, &text).expect("memory takes it");
        let line = String::from_utf8(line).expect("JSON is UTF-8");
        assert_eq!(line, "\"a\\u001b[31m\\u007f\\u009b\\u202e\\udb40\\udc41\u{20ac}\\\"\\n\"\n");
        assert_eq!(serde_json::from_str::<String>(&line).expect("it reads back"), text);
    }

    #[test]
    fn raw_values_drive_no_terminal_either() {
        let raw = "{\"a\":\t[1.50,\r\"\u{202e}\\u0041\u{9b}\"]}";
        let value: Box<serde_json::value::RawValue> = serde_json::from_str(raw).expect("it is JSON");
        let mut line = Vec::new();
        write_line(&mut line, &value).expect("memory takes it");
        let line = String::from_utf8(line).expect("JSON is UTF-8");
        assert_eq!(line, "{\"a\": [1.50, \"\\u202e\\u0041\\u009b\"]}\n");
    }
}
