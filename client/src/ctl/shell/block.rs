//! The marked lines that load a hook, put into the text of an rc file and taken out again. Pure.
//!
//! The first of them also says what had to be done to the file besides, so that taking them out leaves
//! it byte for byte as it was.

const BEGIN: &[u8] = b"# >>> karo >>>";
const END: &[u8] = b"# <<< karo <<<";

/// Said where the file did not exist.
const FILE_MADE: &[u8] = b"[file made]";

/// Said where the last line of the file had no end.
const LINE_ENDED: &[u8] = b"[line ended]";

/// A file with a beginning and no end of the marked lines, which nobody but a person can mend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclosed;

/// Returns the file with the lines in it, once: where they were, else at its end. `None` stands for a
/// file that is not there.
///
/// # Errors
///
/// [`Unclosed`].
pub fn put(file: Option<&[u8]>, lines: &str) -> Result<Vec<u8>, Unclosed> {
    let text = file.unwrap_or_default();
    if let Some(place) = find(text)? {
        let remarks: Vec<&[u8]> =
            [FILE_MADE, LINE_ENDED].into_iter().filter(|r| place.says(text, r)).collect();
        return Ok([&text[..place.start], &block(lines, &remarks), &text[place.end..]].concat());
    }
    let has_open_line = !text.is_empty() && !text.ends_with(b"\n");
    let mut remarks: Vec<&[u8]> = Vec::new();
    if file.is_none() {
        remarks.push(FILE_MADE);
    }
    if has_open_line {
        remarks.push(LINE_ENDED);
    }
    let line_end: &[u8] = if has_open_line { b"\n" } else { b"" };
    Ok([text, line_end, &block(lines, &remarks)].concat())
}

/// What is left of a file without the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// There were none.
    Untouched,
    /// This.
    Text(Vec<u8>),
    /// Nothing, and it was made for them alone.
    NoFile,
}

/// Takes the lines out.
///
/// # Errors
///
/// [`Unclosed`].
pub fn take_out(text: &[u8]) -> Result<Left, Unclosed> {
    let Some(place) = find(text)? else { return Ok(Left::Untouched) };
    let (mut before, after) = (&text[..place.start], &text[place.end..]);
    if place.says(text, LINE_ENDED) && after.is_empty() {
        before = before.strip_suffix(b"\n").unwrap_or(before);
    }
    if before.is_empty() && after.is_empty() && place.says(text, FILE_MADE) {
        return Ok(Left::NoFile);
    }
    Ok(Left::Text([before, after].concat()))
}

fn block(lines: &str, remarks: &[&[u8]]) -> Vec<u8> {
    let mut block = BEGIN.to_vec();
    for remark in remarks {
        block.push(b' ');
        block.extend_from_slice(remark);
    }
    block.push(b'\n');
    block.extend_from_slice(lines.as_bytes());
    block.extend_from_slice(END);
    block.push(b'\n');
    block
}

struct Place {
    start: usize,
    first_line_end: usize,
    end: usize,
}

impl Place {
    fn says(&self, text: &[u8], remark: &[u8]) -> bool {
        text[self.start..self.first_line_end].windows(remark.len()).any(|window| window == remark)
    }
}

fn find(text: &[u8]) -> Result<Option<Place>, Unclosed> {
    let mut begun: Option<(usize, usize)> = None;
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let next = at + line.len();
        if line.starts_with(BEGIN) {
            begun = Some((at, next));
        }
        if let Some((start, first_line_end)) = begun
            && line.starts_with(END)
        {
            return Ok(Some(Place { start, first_line_end, end: next }));
        }
        at = next;
    }
    if begun.is_some() { Err(Unclosed) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "eval x\n";

    #[test]
    fn taking_out_leaves_the_file_as_it_was() {
        let files: [Option<&[u8]>; 6] =
            [None, Some(b""), Some(b"a\n"), Some(b"a"), Some(b"a\n\n"), Some(b"\xff\0\nb")];
        for file in files {
            let with = put(file, LINES).expect("there is no open block");
            assert_eq!(put(Some(&with), LINES), Ok(with.clone()), "twice is once");
            let expected = file.map_or(Left::NoFile, |text| Left::Text(text.to_vec()));
            assert_eq!(take_out(&with), Ok(expected), "{file:?}");
        }
    }

    #[test]
    fn what_was_added_around_the_lines_stays() {
        let with = put(Some(b"a"), LINES).expect("there is no open block");
        let edited = [&with[..], b"later\n"].concat();
        assert_eq!(take_out(&edited), Ok(Left::Text(b"a\nlater\n".to_vec())));
        let made = [&put(None, LINES).expect("there is no open block")[..], b"later\n"].concat();
        assert_eq!(take_out(&made), Ok(Left::Text(b"later\n".to_vec())));
    }

    #[test]
    fn other_lines_take_the_place_of_the_old_ones() {
        let with = [&put(Some(b"a"), LINES).expect("there is no open block")[..], b"b\n"].concat();
        let changed = put(Some(&with), "eval y\n").expect("there is no open block");
        let text = String::from_utf8(changed).expect("it was text");
        assert_eq!(text, "a\n# >>> karo >>> [line ended]\neval y\n# <<< karo <<<\nb\n");
    }

    #[test]
    fn half_a_block_is_left_to_a_person() {
        assert_eq!(put(Some(b"# >>> karo >>>\nx\n"), LINES), Err(Unclosed));
        assert_eq!(take_out(b"# >>> karo >>>\n"), Err(Unclosed));
        assert_eq!(take_out(b"# <<< karo <<<\n"), Ok(Left::Untouched));
    }
}
