//! What can be seen without the daemon: places, modes, file systems, leftovers, the login shell.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use karo_protocol::config::Config;
use karo_protocol::limits::{CONFIG_BYTES_MAX, SOCKET_PATH_BYTES_MAX, SPOOL_FILES_MAX};
use karo_protocol::places::Places;
use karo_protocol::spool;

use super::Check;
use crate::ctl::cli::HookedShell;
use crate::ctl::shell::{observe_path, unread_at_login};
use crate::ctl::whole_file;
use crate::surroundings::{found, uid};

/// How long a record may wait in a spool: it holds raw text, and a daemon takes it in within seconds.
const LEFTOVER_AGE_MAX: Duration = Duration::from_secs(3600);

/// Runs the checks.
pub fn checks(places: &Places) -> Vec<Check> {
    let mut checks = vec![configuration(&places.config), socket_path(&places.socket)];
    let socket_directory = places.socket.parent().unwrap_or(Path::new("/"));
    checks.push(directory("data", &places.data));
    checks.push(around_socket(socket_directory));
    checks.extend(places.spools().into_iter().map(|spool| directory("spool", spool)));
    checks.push(file_system(&places.data));
    checks.extend(full(&places.data, reserve(&places.config)));
    checks.extend(places.spools().into_iter().map(leftovers));
    checks.push(observe());
    checks.push(login_shell(std::env::var_os("SHELL").map(PathBuf::from).as_deref(), &places.config));
    checks.extend(logins(std::env::var_os("SHELL").map(PathBuf::from).as_deref()));
    checks
}

/// A login shell that does not read what loads the hook.
fn logins(shell: Option<&Path>) -> Option<Check> {
    let name = shell?.file_name()?;
    let shell = HookedShell::ALL.into_iter().find(|shell| name == shell.name())?;
    let home = std::env::var_os("HOME").map(PathBuf::from)?;
    let why = unread_at_login(shell, &home)?;
    let (found, mend) = why.split_once(": ")?;
    Some(Check::warn("shell", format!("{found}, so logins are not recorded"), mend))
}

fn configuration(path: &Path) -> Check {
    let named = path.display();
    let text = match text_of(path) {
        Ok(text) => text,
        Err(error) => {
            return match (path.exists(), error.kind()) {
                (true, ErrorKind::PermissionDenied) => Check::fail(
                    "config",
                    format!("{named} cannot be read"),
                    format!("run chmod 0600 {named}"),
                ),
                (true, _) => {
                    Check::fail("config", format!("{named} cannot be read: {error}"), "move it away")
                }
                (false, _) => Check::ok("config", format!("{named} is not there, so the defaults hold")),
            };
        }
    };
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let judged = toml::from_str::<Config>(&text).map_err(|error| error.message().to_owned());
    let judged =
        judged.and_then(|config| config.check(home.as_deref()).map(drop).map_err(|error| error.to_string()));
    if let Err(why) = judged {
        return Check::fail(
            "config",
            format!("{named}: {why}"),
            "see `karoctl config check` and `karoctl config default`",
        );
    }
    match mode(path) {
        Some(mode) if mode & 0o022 != 0 => Check::fail(
            "config",
            format!("{named} has mode {mode:04o}, so others may change what is recorded"),
            format!("run chmod 0600 {named}"),
        ),
        Some(mode) if mode & 0o044 != 0 => Check::warn(
            "config",
            format!("{named} has mode {mode:04o}, so others may read it"),
            format!("run chmod 0600 {named}"),
        ),
        Some(_) | None => Check::ok("config", format!("{named} is right")),
    }
}

/// Reads the configuration as the daemon does.
fn text_of(config: &Path) -> io::Result<String> {
    whole_file::found(config, CONFIG_BYTES_MAX).and_then(whole_file::text)
}

fn mode(path: &Path) -> Option<u32> {
    Some(fs::metadata(path).ok()?.permissions().mode() & 0o7777)
}

fn socket_path(path: &Path) -> Check {
    let length = path.as_os_str().len();
    if length > SOCKET_PATH_BYTES_MAX {
        return Check::fail(
            "socket",
            format!("path of {length} bytes, at most {SOCKET_PATH_BYTES_MAX} fit"),
            "set KARO_SOCKET to a shorter path, for the daemon and for the shells",
        );
    }
    Check::ok("socket", format!("path of {length} bytes, {SOCKET_PATH_BYTES_MAX} would fit"))
}

/// A directory of ours: not a link, our own, closed to others.
fn directory(check: &'static str, path: &Path) -> Check {
    let named = path.display();
    let Some(found) = found(path) else {
        return Check::ok(check, format!("{named} is not there yet; it is made when it is needed"));
    };
    if let Err(reason) = found.judge(uid()) {
        let text = reason.to_string();
        let (what, mend) = text.split_once("; ").or_else(|| text.split_once(", so ")).unwrap_or((&text, ""));
        return Check::fail(check, format!("{named} {what}"), mend);
    }
    match found.mode & 0o777 {
        0o700 => Check::ok(check, format!("{named} is open to you alone")),
        mode => Check::warn(
            check,
            format!("{named} has mode {mode:04o}, so others may look into it"),
            format!("run chmod 0700 {named}"),
        ),
    }
}

/// The directory of the socket may also be root's, if nobody else can write in it.
fn around_socket(path: &Path) -> Check {
    match found(path).map(|found| found.judge_around_socket(uid())) {
        Some(Ok(true)) => {
            Check::ok("socket", format!("{} is root's, who listens there for you", path.display()))
        }
        Some(Ok(false) | Err(_)) | None => directory("socket", path),
    }
}

/// Network file systems, by the number that `statfs` gives them on Linux: they may lie about syncs and
/// locks, or go away.
const NETWORK: [(u32, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB2"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x6b41_4653, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x6573_5546, "FUSE"),
];

/// Number of the file system that lives in memory.
const TMPFS: u32 = 0x0102_1994;

fn file_system(data: &Path) -> Check {
    // What is not there yet will lie where its nearest directory lies.
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Some(kind) = file_system_kind(there) else {
        return Check::warn("disk", format!("what lies under {} cannot be told", data.display()), "see `df`");
    };
    if let Some((_, name)) = NETWORK.iter().find(|(magic, _)| *magic == kind) {
        return Check::warn(
            "disk",
            format!("{} lies on {name}, which may acknowledge what it has not kept", data.display()),
            "set KARO_DATA_DIR to a directory on a local disk, for the daemon and for the shells",
        );
    }
    if kind == TMPFS {
        return Check::warn(
            "disk",
            format!("{} lies in memory and is gone at the next start of the machine", data.display()),
            "set KARO_DATA_DIR to a directory on a local disk, for the daemon and for the shells",
        );
    }
    let free = rustix::fs::statvfs(there).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize));
    let free = free.map(crate::ctl::status::bytes).unwrap_or_else(|_| "unknown".to_owned());
    Check::ok("disk", format!("{} lies on a local file system, {free} free", data.display()))
}

/// Returns how many bytes the daemon leaves free.
fn reserve(config: &Path) -> u64 {
    let text = text_of(config).unwrap_or_default();
    let config = toml::from_str::<Config>(&text).unwrap_or_default();
    u64::try_from(config.store.reserve_mib).unwrap_or(0).saturating_mul(1 << 20)
}

/// A disk so full that the daemon accepts nothing; the daemon itself may not even have started on it.
fn full(data: &Path, reserve: u64) -> Option<Check> {
    let there = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(there).map(|fs| fs.f_bavail.saturating_mul(fs.f_frsize)).ok()?;
    let bytes = crate::ctl::status::bytes;
    (free <= reserve).then(|| {
        Check::fail(
            "disk",
            format!(
                "{} has {} free, and karod accepts nothing below {}",
                there.display(),
                bytes(free),
                bytes(reserve)
            ),
            "make room; hooks spool meanwhile, and karod goes on by itself",
        )
    })
}

#[cfg(target_os = "linux")]
fn file_system_kind(path: &Path) -> Option<u32> {
    // Only the low 32 bits are the number; on some machines the field is wider and signed.
    Some(rustix::fs::statfs(path).ok()?.f_type as u32)
}

#[cfg(not(target_os = "linux"))]
fn file_system_kind(_: &Path) -> Option<u32> {
    None
}

fn leftovers(place: &Path) -> Check {
    let is_record = |entry: &fs::DirEntry| entry.file_name().to_str().is_some_and(spool::is_file_name);
    let entries = fs::read_dir(place).map(|entries| entries.flatten().filter(is_record).collect::<Vec<_>>());
    let named = place.display();
    let old = entries.iter().flatten().filter(|entry| is_old(entry)).count();
    match entries.map(|entries| entries.len()) {
        Ok(count) if count >= SPOOL_FILES_MAX => Check::fail(
            "leftovers",
            format!("{count} records wait in {named}, which is all that fit: hooks count what they lose"),
            "start karod, it takes them in",
        ),
        Ok(_) if old > 0 => Check::warn(
            "leftovers",
            format!(
                "{old} records have waited for more than an hour in {named}, and they hold what was typed, secrets too"
            ),
            "start karod, it takes them in; what it leaves behind is torn or newer than it, and may be deleted",
        ),
        Ok(count) if count > 16 => Check::warn(
            "leftovers",
            format!("{count} records wait in {named}"),
            "start karod, it takes them in",
        ),
        Ok(0) | Err(_) => Check::ok("leftovers", format!("nothing waits in {named}")),
        Ok(count) => Check::ok("leftovers", format!("records that wait in {named}: {count}")),
    }
}

/// Tells whether a record waits for longer than a daemon that runs ever lets it.
fn is_old(entry: &fs::DirEntry) -> bool {
    let written = entry.metadata().and_then(|meta| meta.modified()).ok();
    written.and_then(|at| at.elapsed().ok()).is_some_and(|age| age > LEFTOVER_AGE_MAX)
}

fn observe() -> Check {
    match observe_path() {
        Ok(path) if mode(&path).is_some_and(|mode| mode & 0o111 != 0) => {
            Check::ok("observe", format!("{} is there", path.display()))
        }
        Ok(path) => Check::warn(
            "observe",
            format!("{} is not there, so hooks spool", path.display()),
            "install karo-observe beside karoctl",
        ),
        Err(trouble) => Check::warn("observe", trouble.message, "install karo-observe beside karoctl"),
    }
}

/// What can be recorded of the shell that the account starts with.
fn login_shell(shell: Option<&Path>, config: &Path) -> Check {
    let name = shell.and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    match name.as_deref() {
        Some(name @ ("bash" | "zsh" | "fish")) => Check::ok("shell", format!("{name} has a hook")),
        Some(name @ ("mksh" | "ksh" | "ksh93" | "lksh")) => {
            let follows = text_of(config).is_ok_and(|text| {
                toml::from_str::<Config>(&text).is_ok_and(|config| !config.record.follow.is_empty())
            });
            match follows {
                true => Check::ok("shell", format!("{name} is recorded through its history file")),
                false => Check::warn(
                    "shell",
                    format!("{name} has no hook"),
                    "set HISTFILE in its rc file, and name that file under [record] follow in the configuration",
                ),
            }
        }
        Some(name @ ("dash" | "sh" | "ash" | "busybox")) => Check::warn(
            "shell",
            format!("{name} keeps no history and has no hook, so nothing of it can be recorded"),
            "use bash, zsh or fish for interactive work",
        ),
        Some(name) => Check::warn(
            "shell",
            format!("{name} has no hook"),
            "use bash, zsh or fish, or take in its history with `karoctl import`",
        ),
        None => Check::warn("shell", "SHELL is not set, so the login shell is unknown", "set SHELL"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn shells_are_told_apart() {
        let mark = |shell: &str| login_shell(Some(Path::new(shell)), Path::new("/nowhere")).mark;
        assert_eq!(mark("/bin/zsh"), Mark::Ok);
        assert_eq!(mark("/bin/mksh"), Mark::Warn);
        let dash = login_shell(Some(Path::new("/bin/dash")), Path::new("/nowhere"));
        assert!(dash.found.contains("keeps no history"), "{}", dash.found);
    }

    #[test]
    fn open_places_are_found() {
        let home = private_directory();
        let path = home.path().join("data");
        assert_eq!(directory("data", &path).mark, Mark::Ok);
        fs::create_dir(&path).expect("there is room");
        for (mode, expected) in [(0o700, Mark::Ok), (0o755, Mark::Warn), (0o770, Mark::Fail)] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
            assert_eq!(directory("data", &path).mark, expected, "{mode:o}");
        }
    }

    #[test]
    fn a_wrong_configuration_is_named() {
        let home = private_directory();
        let path = home.path().join("config.toml");
        assert_eq!(configuration(&path).mark, Mark::Ok);
        for (text, mode, expected) in [
            ("[store]\nreserve_mib = 64\n", 0o600, Mark::Ok),
            ("[store]\nreserve_mib = 64\n", 0o644, Mark::Warn),
            ("[store]\nreserve_mib = 64\n", 0o666, Mark::Fail),
            ("[store]\nreserve_mib = 0\n", 0o600, Mark::Fail),
            ("[store", 0o600, Mark::Fail),
        ] {
            fs::write(&path, text).expect("there is room");
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).expect("it is ours");
            assert_eq!(configuration(&path).mark, expected, "{text:?} {mode:o}");
        }
        fs::remove_file(&path).expect("it is ours");
        whole_file::tests::pipe(&path);
        let check = configuration(&path);
        assert_eq!(check.mark, Mark::Fail);
        assert!(check.found.ends_with("cannot be read: it is a pipe, not a file"), "{}", check.found);
    }

    #[test]
    fn a_full_disk_is_found_without_the_daemon() {
        let home = private_directory();
        let data = home.path().join("not/there");
        assert_eq!(full(&data, 0), None);
        assert_eq!(full(&data, u64::MAX).map(|check| check.mark), Some(Mark::Fail));
        let config = home.path().join("config.toml");
        assert_eq!(reserve(&config), 64 << 20);
        fs::write(&config, "[store]\nreserve_mib = 2\n").expect("there is room");
        assert_eq!(reserve(&config), 2 << 20);
    }

    #[test]
    fn a_long_socket_path_is_found() {
        assert_eq!(socket_path(Path::new(&format!("/{}", "x".repeat(107)))).mark, Mark::Fail);
        assert_eq!(socket_path(Path::new("/run/karod.sock")).mark, Mark::Ok);
    }

    #[test]
    fn many_leftovers_are_told() {
        let spool = private_directory();
        (0..17).for_each(|n| {
            fs::write(spool.path().join(format!("{:032x}.{n}.e", 7)), "").expect("there is room")
        });
        assert_eq!(leftovers(spool.path()).mark, Mark::Warn);
        assert_eq!(leftovers(Path::new("/nowhere")).mark, Mark::Ok);
    }

    #[test]
    fn old_leftovers_are_told() {
        let spool = private_directory();
        let path = spool.path().join(format!("{:032x}.1.e", 7));
        let file = fs::File::create(&path).expect("there is room");
        assert_eq!(leftovers(spool.path()).mark, Mark::Ok);
        let then = std::time::SystemTime::now() - LEFTOVER_AGE_MAX * 2;
        file.set_modified(then).expect("it is ours");
        let check = leftovers(spool.path());
        assert_eq!(check.mark, Mark::Warn);
        assert!(
            check.found.starts_with("1 records have waited for more than an hour in "),
            "{}",
            check.found
        );
    }
}
