//! Sentences in columns: wrapped to a width, with what stands before them on their first line.

use unicode_width::UnicodeWidthChar;

use crate::ctl::shown::{columns, cut_end, pad};

/// Writes words below one another, at most `width` columns wide: `first` before the first line and as many
/// spaces before the others. A word that is wider than that is cut.
pub fn put(text: &mut String, first: &str, words: &str, width: Option<usize>) {
    put_below(text, first, &" ".repeat(columns(first)), words, width);
}

/// The same with `rest`, which is as wide as `first`, before the other lines.
pub fn put_below(text: &mut String, first: &str, rest: &str, words: &str, width: Option<usize>) {
    let indent = columns(first);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(20));
    text.push_str(first);
    let mut used = 0;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let word = cut_end(word, room);
        let wide = columns(&word);
        if used > 0 && used + 1 + wide > room {
            text.push('\n');
            text.push_str(rest);
            used = 0;
        } else if used > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(&word);
        used += wide;
    }
    text.push('\n');
}

/// Writes a text as it is, broken where the width ends.
pub fn put_exactly(text: &mut String, first: &str, shown: &str, width: Option<usize>) {
    let indent = columns(first);
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent).max(20));
    text.push_str(first);
    let mut used = 0;
    for c in shown.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide > room {
            text.push('\n');
            text.extend(std::iter::repeat_n(' ', indent));
            used = 0;
        }
        text.push(c);
        used += wide;
    }
    text.push('\n');
}

/// Returns a heading, filled up to the column in which its text stands.
pub fn heading(name: &str) -> String {
    let mut heading = name.to_owned();
    pad(&mut heading, HEADING_COLUMNS);
    heading
}

/// Columns of a heading that stands beside its text.
const HEADING_COLUMNS: usize = 10;

/// Joins words as a sentence does: `a`, `a and b`, `a, b and c`.
pub fn listed(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} and {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_below_one_another() {
        let mut text = String::new();
        put(&mut text, "HEAD  ", "one two three four five six seven", Some(26));
        assert_eq!(text, "HEAD  one two three four\n      five six seven\n");
        text.clear();
        put(&mut text, "", &"x".repeat(30), Some(20));
        assert_eq!(text, format!("{}…\n", "x".repeat(19)));
    }

    #[test]
    fn a_line_is_broken_and_not_changed() {
        let mut text = String::new();
        put_exactly(&mut text, "LINE  ", "echo  'a   b' 日本日本日本日本", Some(26));
        assert_eq!(text, "LINE  echo  'a   b' 日本日\n      本日本日本\n");
    }

    #[test]
    fn lists_read_as_sentences() {
        assert_eq!(listed(&["a"]), "a");
        assert_eq!(listed(&["a", "b", "c"]), "a, b and c");
    }
}
