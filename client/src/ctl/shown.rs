//! Recorded text, made safe for a terminal: it may say anything, and must do nothing.
//!
//! Control characters, those that turn the direction of text, and those that take no room are shown as
//! escapes, and so is each byte that is not UTF-8.

use std::fmt::Write as _;

use unicode_width::UnicodeWidthChar;

/// What becomes of a line's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newline {
    /// It is shown as `↵`.
    Arrow,
    /// It stays.
    Kept,
}

/// Returns the text as it may be shown.
pub fn shown(bytes: &[u8], newline: Newline) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(|c| push(c, newline, &mut text));
        for byte in chunk.invalid() {
            write!(text, "\\x{byte:02x}").expect("a string takes whatever is written to it");
        }
    }
    text
}

fn push(c: char, newline: Newline, text: &mut String) {
    let code = u32::from(c);
    let written = match (c, newline) {
        ('\n', Newline::Arrow) => write!(text, "↵"),
        ('\n', Newline::Kept) => writeln!(text),
        ('\t', _) => write!(text, "\\t"),
        ('\r', _) => write!(text, "\\r"),
        _ if !is_active(c) => write!(text, "{c}"),
        _ if code < 0x100 => write!(text, "\\x{code:02x}"),
        _ => write!(text, "\\u{{{code:x}}}"),
    };
    written.expect("a string takes whatever is written to it");
}

/// Tells whether a character drives a terminal, turns the direction of text, or cannot be seen.
///
/// Unicode 16: the control and format characters, the separators of lines and paragraphs, and all that
/// is default-ignorable; combining marks are text and stay.
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns how many columns a shown text takes.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Cuts a shown text at its end to so many columns, the last of them `…` when it was longer.
pub fn cut_end(text: &str, columns_max: usize) -> String {
    if columns(text) <= columns_max {
        return text.to_owned();
    }
    let mut kept = take(text.chars(), columns_max.saturating_sub(1));
    kept.push('…');
    kept
}

/// Cuts a shown text at its beginning to so many columns, the first of them `…` when it was longer.
pub fn cut_start(text: &str, columns_max: usize) -> String {
    if columns(text) <= columns_max {
        return text.to_owned();
    }
    let mut kept = take(text.chars().rev(), columns_max.saturating_sub(1));
    kept.push('…');
    kept.chars().rev().collect()
}

fn take(chars: impl Iterator<Item = char>, columns_max: usize) -> String {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns_max
        })
        .collect()
}

/// Appends spaces up to so many columns.
pub fn pad(text: &mut String, columns_wanted: usize) {
    text.extend(std::iter::repeat_n(' ', columns_wanted.saturating_sub(columns(text))));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_bytes_are_shown_without_what_acts(bytes in proptest::collection::vec(any::<u8>(), 0..64), text: String) {
            for bytes in [bytes.as_slice(), text.as_bytes()] {
                prop_assert!(!shown(bytes, Newline::Arrow).chars().any(is_active));
                prop_assert!(!shown(bytes, Newline::Kept).chars().any(|c| c != '\n' && is_active(c)));
            }
        }

        #[test]
        fn no_cut_is_wider_than_asked(text: String, width in 1_usize..40) {
            let text = shown(text.as_bytes(), Newline::Arrow);
            prop_assert!(columns(&cut_end(&text, width)) <= width);
            prop_assert!(columns(&cut_start(&text, width)) <= width);
        }
    }

    #[test]
    fn nothing_recorded_drives_the_terminal() {
        let cases: [(&[u8], &str); 9] = [
            (b"ls -l", "ls -l"),
            (b"a\nb", "a↵b"),
            (b"\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
            ("\u{9b}31m".as_bytes(), "\\x9b31m"),
            (b"tab\there\r", "tab\\there\\r"),
            (b"\xff\xfe", "\\xff\\xfe"),
            ("a\u{202e}b\u{200b}".as_bytes(), "a\\u{202e}b\\u{200b}"),
            ("h\u{e0041}i".as_bytes(), "h\\u{e0041}i"),
            ("日本 e\u{301}".as_bytes(), "日本 e\u{301}"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(shown(bytes, Newline::Arrow), expected);
        }
        assert_eq!(shown(b"a\nb", Newline::Kept), "a\nb");
    }

    #[test]
    fn cuts_count_columns() {
        assert_eq!(cut_end("abcdef", 6), "abcdef");
        assert_eq!(cut_end("abcdefg", 6), "abcde…");
        assert_eq!(cut_end("日本語", 5), "日本…");
        assert_eq!(cut_start("/a/b/c", 4), "…b/c");
        assert_eq!(cut_end("abc", 0), "…");
    }
}
