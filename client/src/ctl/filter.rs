//! From the options of `query`, `delete` and `export` to a filter of the protocol.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use jiff::Zoned;
use karo_protocol::query::{Directory, Exit, Filter};
use karo_protocol::{Bytes, EventId, State, Timestamp};

use super::cli::FilterArgs;
use super::exit::Trouble;
use super::when;

/// What relative paths and moments are read against.
pub struct Bearings<'a> {
    /// The wall clock, in the user's zone.
    pub now: &'a Zoned,
    /// The current directory, as the shell names it; `None` when it is gone.
    pub cwd: Option<&'a Path>,
}

/// Makes a filter.
///
/// # Errors
///
/// A usage error that names the option and what it accepts.
pub fn filter(
    words: &[OsString],
    ids: &[EventId],
    args: &FilterArgs,
    bearings: &Bearings<'_>,
) -> Result<Filter, Trouble> {
    let filter = Filter {
        words: words.iter().map(|word| Bytes::from(word.as_bytes())).collect(),
        since: moment("--since", args.since.as_deref(), bearings)?,
        until: moment("--until", args.until.as_deref(), bearings)?,
        directory: directory(args, bearings)?,
        exit: exit(args),
        state: state(args),
        category: args.category,
        shell: args.shell,
        shell_id: args.shell_id,
        host: args.host.clone(),
        user: args.user.clone(),
        ids: ids.to_vec(),
        risk: args.risk,
        axis: args.axis,
        rule: args.rule.clone(),
    };
    if let Some((what, most)) = filter.excess() {
        return Err(Trouble::usage(format!("too many {what}, at most {most} can be asked for at once")));
    }
    if let (Some(since), Some(until)) = (filter.since, filter.until)
        && since >= until
    {
        return Err(Trouble::usage("--since is not before --until, so nothing can lie between them"));
    }
    Ok(filter)
}

fn moment(option: &str, text: Option<&str>, bearings: &Bearings<'_>) -> Result<Option<Timestamp>, Trouble> {
    let read =
        |text| when::parse(text, bearings.now).map_err(|why| Trouble::usage(format!("{option}: {why}")));
    text.map(read).transpose()
}

fn directory(args: &FilterArgs, bearings: &Bearings<'_>) -> Result<Option<Directory>, Trouble> {
    match (&args.cwd, &args.under) {
        (Some(path), _) => Ok(Some(Directory::Exactly(Bytes(resolved(path, bearings)?)))),
        (None, Some(path)) => Ok(Some(Directory::Under(Bytes(resolved(path, bearings)?)))),
        (None, None) => Ok(None),
    }
}

/// Returns a path as the daemon knows directories: absolute, by its text alone.
///
/// # Errors
///
/// A usage error when it is relative and nobody knows to what.
pub fn resolved(path: &Path, bearings: &Bearings<'_>) -> Result<Vec<u8>, Trouble> {
    match (bearings.cwd, path.is_absolute()) {
        (Some(cwd), _) => Ok(absolute(path.as_os_str(), cwd)),
        (None, true) => Ok(absolute(path.as_os_str(), Path::new("/"))),
        (None, false) => {
            let path = path.display();
            Err(Trouble::usage(format!(
                "{path} is relative, and the current directory is gone; give an absolute path"
            )))
        }
    }
}

const fn exit(args: &FilterArgs) -> Option<Exit> {
    match args {
        FilterArgs { exit: Some(code), .. } => Some(Exit::Code(*code)),
        FilterArgs { failed: true, .. } => Some(Exit::Failed),
        FilterArgs { ok: true, .. } => Some(Exit::Ok),
        _ => None,
    }
}

const fn state(args: &FilterArgs) -> Option<State> {
    match args {
        FilterArgs { running: true, .. } => Some(State::Running),
        FilterArgs { lost: true, .. } => Some(State::Lost),
        _ => None,
    }
}

/// Resolves a path against a directory by its text alone: what was recorded may be gone, and links in
/// it were recorded as the shell named them.
fn absolute(path: &OsStr, cwd: &Path) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    let base = if path.as_bytes().starts_with(b"/") { &b""[..] } else { cwd.as_os_str().as_bytes() };
    for part in base.split(|b| *b == b'/').chain(path.as_bytes().split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    let mut resolved = vec![b'/'];
    resolved.extend_from_slice(&parts.join(&b'/'));
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(args: &FilterArgs) -> Result<Filter, Trouble> {
        let now = "2026-11-02T12:00:00+00:00[UTC]".parse().expect("the moment is right");
        filter(&[], &[], args, &Bearings { now: &now, cwd: Some(Path::new("/home/u/src")) })
    }

    #[test]
    fn a_current_directory_that_is_gone_matters_to_relative_paths_alone() {
        let now = "2026-11-02T12:00:00+00:00[UTC]".parse().expect("the moment is right");
        let read = |path: &str| {
            let args = FilterArgs { cwd: Some(path.into()), ..FilterArgs::default() };
            filter(&[], &[], &args, &Bearings { now: &now, cwd: None }).map(|filter| filter.directory)
        };
        assert_eq!(read("/a/"), Ok(Some(Directory::Exactly(Bytes::from("/a")))));
        assert!(read("a").is_err());
    }

    #[test]
    fn paths_are_resolved_by_their_text() {
        let cases = [
            ("/", "/"),
            ("/etc/", "/etc"),
            ("", "/home/u/src"),
            (".", "/home/u/src"),
            ("..", "/home/u"),
            ("../../../../..", "/"),
            ("a/./b//c/..", "/home/u/src/a/b"),
            ("/a/../b", "/b"),
        ];
        for (path, expected) in cases {
            let found = absolute(OsStr::new(path), Path::new("/home/u/src"));
            assert_eq!(String::from_utf8_lossy(&found), expected, "{path}");
        }
    }

    #[test]
    fn options_become_a_filter() {
        let args = FilterArgs { failed: true, under: Some("..".into()), ..FilterArgs::default() };
        let filter = read(&args).expect("the options are right");
        assert_eq!(filter.exit, Some(Exit::Failed));
        assert_eq!(filter.directory, Some(Directory::Under(Bytes::from("/home/u"))));
        assert!(read(&FilterArgs::default()).expect("nothing is right too").is_empty());
    }

    #[test]
    fn impossible_ranges_are_usage_errors() {
        let range = |since: &str, until: &str| FilterArgs {
            since: Some(since.to_owned()),
            until: Some(until.to_owned()),
            ..FilterArgs::default()
        };
        assert_eq!(
            read(&range("now", "1h")).map_err(|trouble| trouble.message),
            Err("--since is not before --until, so nothing can lie between them".to_owned())
        );
        let message = read(&range("soon", "now")).expect_err("soon is no moment").message;
        assert!(message.starts_with("--since: \"soon\" is no moment; accepted is RFC 3339"), "{message}");
    }
}
