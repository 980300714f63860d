//! What a process can find out about the shell that a hook runs in, when the hook does not say.
//!
//! Whatever cannot be found is left out; a record without it is as good.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

/// Returns each field that is not given and can be found; `pid` is the shell's process.
pub(super) fn fields(pid: Option<&[u8]>, is_given: impl Fn(&str) -> bool) -> Vec<(&'static str, Vec<u8>)> {
    let mut fields = Vec::new();
    let mut add = |name: &'static str, find: &dyn Fn() -> Option<Vec<u8>>| {
        if !is_given(name)
            && let Some(value) = find()
        {
            fields.push((name, value));
        }
    };
    let shell = pid.and_then(|pid| std::str::from_utf8(pid).ok()).and_then(|pid| pid.parse::<u32>().ok());
    add("user", &user);
    add("host", &host);
    add("ssh", &|| Some(if is_remote() { b"1".to_vec() } else { b"0".to_vec() }));
    if let Some(pid) = shell {
        add("boot_id", &boot);
        add("pid_start", &|| stat_word(pid, 19));
        add("pid_ns", &|| Some(fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino().to_string().into()));
        add("parent", &|| parent(pid));
        add("tty", &|| tty(pid));
    }
    fields
}

fn user() -> Option<Vec<u8>> {
    ["USER", "LOGNAME"].into_iter().find_map(std::env::var_os).map(std::os::unix::ffi::OsStringExt::into_vec)
}

fn host() -> Option<Vec<u8>> {
    Some(rustix::system::uname().nodename().to_bytes().to_vec())
}

fn is_remote() -> bool {
    ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"].into_iter().any(|name| std::env::var_os(name).is_some())
}

fn boot() -> Option<Vec<u8>> {
    Some(fs::read("/proc/sys/kernel/random/boot_id").ok()?.trim_ascii().to_vec())
}

/// Returns a word of `/proc/PID/stat`, counted from the state, which stands behind the name.
fn stat_word(pid: u32, place: usize) -> Option<Vec<u8>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, a closing bracket included; the last one ends it.
    let behind = stat.iter().rposition(|byte| *byte == b')')?;
    let mut words = stat.get(behind + 2..)?.split(|byte| *byte == b' ');
    words.nth(place).map(<[u8]>::to_vec)
}

fn parent(pid: u32) -> Option<Vec<u8>> {
    let parent = String::from_utf8(stat_word(pid, 1)?).ok()?;
    Some(fs::read(format!("/proc/{parent}/comm")).ok()?.trim_ascii_end().to_vec())
}

fn tty(pid: u32) -> Option<Vec<u8>> {
    use std::os::unix::ffi::OsStrExt as _;

    let path = fs::read_link(format!("/proc/{pid}/fd/0")).ok()?;
    let name = path.as_os_str().as_bytes().strip_prefix(b"/dev/")?;
    (name.starts_with(b"pts/") || name.starts_with(b"tty")).then(|| name.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_described() {
        let pid = std::process::id().to_string();
        let found = fields(Some(pid.as_bytes()), |name| name == "user");
        let value = |name: &str| found.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone());
        assert_eq!(value("user"), None);
        assert!(value("pid_start").is_some_and(|ticks| ticks.iter().all(u8::is_ascii_digit)));
        assert_eq!(value("boot_id").map(|id| id.len()), Some(36));
        for name in ["host", "ssh", "pid_ns", "parent"] {
            assert!(value(name).is_some_and(|value| !value.is_empty()), "{name}");
        }
        assert!(fields(None, |_| false).iter().all(|(name, _)| *name != "pid_start"));
    }
}
