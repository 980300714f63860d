//! The system's template, an instance for each account: whose daemon root's service manager runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::machine::output;

/// Where root's service manager listens, in a directory for each account.
pub const SERVED: &str = "/run/karo";

/// Where systemd keeps which units of the system are enabled, and by what.
const ENABLED: &str = "/etc/systemd/system";

/// Returns the account of the instance that listens at a socket; `None` where it is no instance's.
pub fn served(socket: &Path) -> Option<&str> {
    let account = socket.strip_prefix(SERVED).ok()?.parent()?.to_str()?;
    (!account.is_empty() && !account.contains('/')).then_some(account)
}

/// Returns the account that root's service manager serves, if it is that user's: by the socket that clients find, or,
/// where the instance was given up and its socket is gone with it, because it is enabled.
pub fn serving(socket: &Path, uid: u32) -> Option<String> {
    if let Some(account) = served(socket) {
        return Some(account.to_owned());
    }
    let enabled = enabled();
    if enabled.is_empty() {
        return None;
    }
    account(&uid.to_string(), uid).map(|account| account.name).filter(|name| enabled.contains(name))
}

/// Returns the accounts whose instances are enabled.
pub fn enabled() -> BTreeSet<String> {
    let Ok(targets) = fs::read_dir(ENABLED) else { return BTreeSet::new() };
    let wants = targets.flatten().map(|entry| entry.path()).filter(|path| {
        path.extension().is_some_and(|extension| extension == "wants" || extension == "requires")
    });
    let names = wants.filter_map(|path| fs::read_dir(path).ok()).flatten().flatten();
    names.filter_map(|entry| instance_of(entry.file_name().to_str()?).map(str::to_owned)).collect()
}

/// Returns the accounts besides that one whose instances are enabled or run.
pub fn sharers(account: &str, uid: u32) -> BTreeSet<String> {
    let listed =
        output(&["systemctl", "list-units", "--plain", "--no-legend", "karod@*"], uid).unwrap_or_default();
    let mut accounts = enabled();
    accounts.extend(listed.lines().filter_map(running).map(str::to_owned));
    accounts.remove(account);
    accounts
}

/// Returns the account of a line of `systemctl list-units`.
fn running(line: &str) -> Option<&str> {
    instance_of(line.split_whitespace().next()?)
}

/// Returns the account of an instance by the name of its unit.
fn instance_of(unit: &str) -> Option<&str> {
    let rest = unit.strip_prefix("karod@")?;
    rest.strip_suffix(".service")
        .or_else(|| rest.strip_suffix(".socket"))
        .filter(|account| !account.is_empty())
}

/// Where the home of an account is, as far as the template's places go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Home {
    /// Where the template looks, or somebody has written beside it where else.
    Told,
    /// Here, where the template does not look.
    Elsewhere(PathBuf),
    /// There is no such account.
    Nowhere,
}

/// Looks for the home of an account.
pub fn home(name: &str, uid: u32) -> Home {
    let is_told = [format!("karod@{name}.service.d"), "karod@.service.d".to_owned()]
        .iter()
        .filter_map(|directory| fs::read_dir(Path::new(ENABLED).join(directory)).ok())
        .flatten()
        .flatten()
        .any(|entry| entry.path().extension().is_some_and(|extension| extension == "conf"));
    home_of(name, account(name, uid), is_told)
}

fn home_of(name: &str, account: Option<Account>, is_told: bool) -> Home {
    match account {
        None => Home::Nowhere,
        Some(_) if is_told => Home::Told,
        Some(account) if account.home == Path::new("/home").join(name) => Home::Told,
        Some(account) => Home::Elsewhere(account.home),
    }
}

/// What the system knows of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Its home.
    pub home: PathBuf,
}

/// Looks an account up by its name or number, wherever the system keeps its accounts; `None` when there is none.
pub fn account(key: &str, uid: u32) -> Option<Account> {
    account_of(&output(&["getent", "passwd", "--", key], uid)?)
}

/// Reads a line of the form of `/etc/passwd`.
fn account_of(line: &str) -> Option<Account> {
    let fields: Vec<&str> = line.lines().next()?.split(':').collect();
    let [name, _, _, _, _, home, ..] = fields.as_slice() else { return None };
    Some(Account { name: (*name).to_owned(), home: home.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_of_an_instance_names_its_account() {
        assert_eq!(served(Path::new("/run/karo/ann/karod.sock")), Some("ann"));
        for other in ["/run/user/7/karo/karod.sock", "/run/karo/karod.sock", "/run/karo/a/b/karod.sock"] {
            assert_eq!(served(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn a_unit_of_an_instance_names_its_account() {
        assert_eq!(instance_of("karod@ann.service"), Some("ann"));
        assert_eq!(instance_of("karod@ann.b.socket"), Some("ann.b"));
        for other in ["karod@.service", "karod.service", "karod@ann.timer", "other@ann.service"] {
            assert_eq!(instance_of(other), None, "{other}");
        }
        assert_eq!(running("  karod@ann.socket loaded active listening Karo"), Some("ann"));
    }

    #[test]
    fn an_account_has_a_name_and_a_home() {
        let ann = Account { name: "ann".to_owned(), home: "/srv/ann".into() };
        assert_eq!(account_of("ann:x:1001:1001:Ann,,,:/srv/ann:/bin/bash\n"), Some(ann.clone()));
        assert_eq!(account_of(""), None);
        assert_eq!(home_of("ann", Some(ann.clone()), false), Home::Elsewhere("/srv/ann".into()));
        assert_eq!(home_of("ann", Some(ann.clone()), true), Home::Told);
        assert_eq!(home_of("ann", Some(Account { home: "/home/ann".into(), ..ann }), false), Home::Told);
        assert_eq!(home_of("ann", None, true), Home::Nowhere);
    }
}
