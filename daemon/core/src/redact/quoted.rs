//! Commands within a text that the line does not run: `echo 'mysql -pX' > run.sh`, a script in a here-document.

use super::Found;
use super::flags::FLAGS;
use super::programs;
use super::view::{Role, View};
use crate::line::parse;

/// Bytes of a text that is taken for a script; longer ones are read by their names alone.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// Reads a text of several words as a script, and looks at the programs in it.
///
/// It may be prose as well, so a secret must look like one.
pub(super) fn find(found: &mut Found<'_>, view: &View<'_>) {
    let text = view.text;
    let has_flags =
        memchr::memmem::find(text, b" -").is_some() || memchr::memmem::find(text, b" /p").is_some();
    if view.role == Role::Assignment || text.len() > TEXT_BYTES_MAX || !has_flags || !may_run(text) {
        return;
    }
    let line = parse(text);
    let mut inner = found.within(text);
    programs::find(&mut inner, &line, true);
    found.take(inner, |range| view.place(range));
}

/// Tells whether a text could run a program of the table: as its first word, or behind a separator.
fn may_run(text: &[u8]) -> bool {
    let first = text.trim_ascii_start().split(|byte| *byte == b' ').next().unwrap_or(text);
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or(first);
    name == b"sudo" || FLAGS.of(name).next().is_some() || memchr::memchr3(b'\n', b';', b'|', text).is_some()
}
