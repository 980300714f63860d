//! The names of karod's messages: what `--event` takes and completes, and the nearest to one that is none.

use std::ffi::OsStr;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, Error};

use crate::ctl::service::machine::CATALOG_TEXT;

/// How alike two names are at least, from 0 to 1, if one is said to be meant by the other: what clap itself asks for.
const ALIKE_MIN: f64 = 0.7;

/// Returns the names, as the journal's catalogue has them: both are made of the daemon's table.
fn names() -> impl Iterator<Item = &'static str> {
    CATALOG_TEXT.lines().filter_map(|line| line.strip_prefix("(KARO_EVENT=")?.split(',').next())
}

fn nearest(wanted: &str) -> Option<&'static str> {
    let alike = names().map(|name| (strsim::jaro(wanted, name), name));
    let (alike, name) = alike.max_by(|one, other| one.0.total_cmp(&other.0))?;
    (alike >= ALIKE_MIN).then_some(name)
}

/// Takes a name of the list. A refusal names the nearest and not all: there are more than a hundred.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventName;

impl TypedValueParser for EventName {
    type Value = String;

    fn parse_ref(&self, cmd: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<String, Error> {
        let wanted = value.to_string_lossy();
        if names().any(|name| name == wanted) {
            return Ok(wanted.into_owned());
        }
        let mut error = Error::new(ErrorKind::InvalidValue).with_cmd(cmd);
        let text = |text: &str| ContextValue::String(text.to_owned());
        if let Some(arg) = arg {
            error.insert(ContextKind::InvalidArg, text(&arg.to_string()));
        }
        if let Some(name) = nearest(&wanted) {
            error.insert(ContextKind::SuggestedValue, text(name));
        }
        error.insert(ContextKind::InvalidValue, text(&wanted));
        Err(error)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(names().map(PossibleValue::new)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ctl::cli::parse_from;

    #[test]
    fn a_name_that_is_none_is_refused_with_the_nearest() {
        assert!(names().count() > 50 && names().all(|name| !name.is_empty()));
        for name in names() {
            parse_from(&["logs", "--event", name]).unwrap_or_else(|error| panic!("{error}"));
        }
        let refusal = |name: &str| parse_from(&["logs", "--event", name]).expect_err(name).to_string();
        let text = refusal("peerconnected");
        assert!(text.contains("'peerconnected' for '--event <NAME>'"), "{text}");
        assert!(text.contains("'peer-connected'") && !text.contains("accepting"), "{text}");
        assert!(!refusal("zzz").contains("similar"));
    }

    #[test]
    fn shells_complete_the_names() {
        use clap_complete::Shell;
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut crate::ctl::cli::command(), "karoctl", &mut script);
            assert!(String::from_utf8_lossy(&script).contains("peer-connected"), "{shell}");
        }
    }
}
