//! Which paths can be written down: units and receipts are text, a line for each thing. Pure, but for
//! [`refuse_unwritable`].

use std::path::{Path, PathBuf};

use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;
use crate::ctl::shell::own_path;
use crate::ctl::shown::{Newline, shown};

/// Variables that lead to where something is written, or to what the receipt names.
const LEADING: [&str; 5] = ["HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "ZDOTDIR", "HISTFILE"];

/// Refuses places that no unit and no receipt can name, before anything is done that nobody could undo.
///
/// # Errors
///
/// When there is one, or a place has no name.
pub fn refuse_unwritable(scene: &Scene) -> Result<(), Trouble> {
    let places = scene.places()?;
    let variables = LEADING.into_iter().filter_map(std::env::var_os).map(PathBuf::from);
    variables
        .chain([
            own_path()?,
            places.config,
            places.data,
            places.socket,
            places.client_spool,
            places.hook_spool,
        ])
        .try_for_each(|path| judge(&path))
}

fn judge(path: &Path) -> Result<(), Trouble> {
    let why = match path.to_str() {
        None => "is not UTF-8",
        Some(text) if text.chars().any(char::is_control) => "holds a line break or another control character",
        Some(_) => return Ok(()),
    };
    let path = shown(path.as_os_str().as_encoded_bytes(), Newline::Arrow);
    Err(Trouble::refused(format!(
        "{path} {why}, so no unit can name it; name other places (`karoctl config` lists the variables)"
    )))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn only_what_fits_on_a_line_can_be_named() {
        let check =
            |bytes: &[u8]| judge(Path::new(OsStr::from_bytes(bytes))).map_err(|trouble| trouble.message);
        for path in [&b"/home/ann"[..], "/home/zoë/ü b".as_bytes(), b"/h/${x}%h\"'\\"] {
            assert_eq!(check(path), Ok(()));
        }
        let refusal = check(b"/h/\xff").expect_err("it is no text");
        assert!(refusal.starts_with("/h/\\xff is not UTF-8, so no unit can name it"), "{refusal}");
        let refusal = check(b"/h/a\nExecStart=/bin/x").expect_err("it is two lines");
        assert!(refusal.contains("holds a line break"), "{refusal}");
        assert!(check(b"/h/\x1b[2J").is_err());
    }
}
