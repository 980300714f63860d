//! Group files on disk: a line that says what it is, and the signed object in base64url.
//!
//! ```text
//! karo group 1
//! <MessagePack of the signed object, base64url without padding, lines of 76 letters>
//! ```

use std::path::Path;

use karo_protocol::frame::{self, Header};
use karo_protocol::group::GroupFile;
use karo_protocol::peer::{Signed, SignedBody as _};

use crate::ctl::exit::Trouble;
use crate::ctl::{base64, owned_file};

/// The first line.
const FIRST_LINE: &str = "karo group 1";

/// Letters in a line, as in mail: it goes through every tool that carries text.
const LINE_LETTERS: usize = 76;

/// Bytes of a file at the most: the greatest object, a third more for its letters, and the ends of the lines.
const FILE_BYTES_MAX: u64 = (GroupFile::BYTES_MAX as u64 + 4096) * 3 / 2;

/// Type of a frame that nobody sends: only its payload is written.
const KIND: u16 = 0;

/// Writes an object as the text of a file.
fn armoured(signed: &Signed) -> Result<String, Trouble> {
    let frame = frame::encode(KIND, signed)
        .map_err(|error| Trouble::refused(format!("the group file cannot be written: {error}")))?;
    let letters = base64::encode_url(&frame[Header::SIZE..]);
    let mut text = format!("{FIRST_LINE}\n");
    let mut rest = letters.as_str();
    while !rest.is_empty() {
        let (line, behind) = rest.split_at(rest.len().min(LINE_LETTERS));
        text.push_str(line);
        text.push('\n');
        rest = behind;
    }
    Ok(text)
}

/// Reads the text of a file; `None` when it is none of ours.
fn disarmoured(text: &[u8]) -> Option<Signed> {
    let text = str::from_utf8(text).ok()?;
    let mut lines = text.lines().map(str::trim);
    if lines.next()? != FIRST_LINE {
        return None;
    }
    frame::decode(&base64::decode_url(&lines.collect::<String>())?).ok()
}

/// Reads a group file; who signed it and what it says is for the daemon to judge.
///
/// # Errors
///
/// When it cannot be read, or is none.
pub(super) fn read(path: &Path) -> Result<Signed, Trouble> {
    let text = owned_file::read(path, FILE_BYTES_MAX)?;
    disarmoured(&text).ok_or_else(|| {
        let name = super::safe(&path.to_string_lossy());
        Trouble::refused(format!(
            "{name} is no group file: its first line is to be `{FIRST_LINE}`, and all behind it as it was written"
        ))
    })
}

/// Writes a group file for its owner alone; one that is there only where it may be written anew.
///
/// # Errors
///
/// When it cannot be written, or is there already.
pub(super) fn write(path: &Path, signed: &Signed, force: bool) -> Result<(), Trouble> {
    owned_file::write(path, armoured(signed)?.as_bytes(), force)
}

#[cfg(test)]
mod tests {
    use karo_protocol::Bytes;
    use karo_protocol::node::Signature;
    use proptest::prelude::*;

    use super::*;

    fn signed(bytes: Vec<u8>) -> Signed {
        Signed { bytes: Bytes(bytes), signature: Signature([7; 64]) }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let signed = signed(bytes);
            let text = armoured(&signed).expect("it fits");
            prop_assert!(text.lines().all(|line| line.len() <= LINE_LETTERS));
            prop_assert_eq!(disarmoured(text.as_bytes()), Some(signed.clone()));
            // Mail turns the ends of lines and adds some.
            let mailed = text.replace('\n', " \r\n") + "\r\n";
            prop_assert_eq!(disarmoured(mailed.as_bytes()), Some(signed));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            drop(disarmoured(&bytes));
            drop(disarmoured(&[FIRST_LINE.as_bytes(), b"\n", &bytes].concat()));
        }
    }

    #[test]
    fn the_form_of_a_file_is_a_decision() {
        let text = armoured(&signed(b"object".to_vec())).expect("it fits");
        let expected = "karo group 1\nksQGb2JqZWN0xEAHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\nBwcHBwcHBwcHBwcHBwcHBwcH\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_no_group_file_is_refused() {
        let text = armoured(&signed(b"object".to_vec())).expect("it fits");
        for wrong in [
            String::new(),
            text.replace("group 1", "group 2"),
            text.replacen('\n', "", 1),
            text.replace("ksQG", "ks+G"),
            text.replace("BwcH\n", "\n"),
            format!("{text}Bwc"),
        ] {
            assert_eq!(disarmoured(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
