//! How a unit is: what `systemctl show` and `launchctl print` say of it, read into one type. Pure.

use std::collections::BTreeMap;
use std::path::Path;

/// How a unit is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manner {
    /// Its name.
    pub name: String,
    /// Whether the service manager knows it at all.
    pub is_loaded: bool,
    /// Whether it runs or listens, or is about to.
    pub is_active: bool,
    /// Whether it was given up.
    pub is_failed: bool,
    /// What it is doing, in the words of the service manager.
    pub doing: String,
    /// Whether it starts by itself; in the words of systemd `enabled`, `disabled`, `masked` and the like.
    pub enabled: String,
    /// Its process.
    pub pid: Option<u32>,
    /// Bytes of memory.
    pub memory: Option<u64>,
    /// How the last process came to its end, in the words of systemd: `success`, `start-limit-hit`, `watchdog`.
    pub result: String,
    /// Exit status of the last process, once there was one.
    pub exit: Option<i32>,
    /// When it began to do that: seconds since the epoch.
    pub since: Option<i64>,
    /// What it says of itself.
    pub status: String,
    /// How often it was started again by itself.
    pub restarts: u32,
    /// How many connections a socket took.
    pub accepted: Option<u64>,
    /// Whether the file was changed after it was read.
    pub needs_reload: bool,
    /// The file that holds.
    pub file: String,
    /// Files that change it besides.
    pub drop_ins: Vec<String>,
    /// The variables that it gives to its program.
    pub environment: BTreeMap<String, String>,
}

/// What is asked of systemd.
pub const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,MainPID,MemoryCurrent,Result,\
ExecMainStatus,ExecMainCode,ActiveEnterTimestamp,InactiveEnterTimestamp,StatusText,NRestarts,NAccepted,\
NeedDaemonReload,FragmentPath,DropInPaths,Environment";

impl Manner {
    /// Tells whether it starts by itself at the next login.
    pub fn is_enabled(&self) -> bool {
        matches!(self.enabled.as_str(), "enabled" | "enabled-runtime" | "linked" | "alias" | "static")
    }

    /// Tells whether it was given up because it, or what it starts, failed too often in a row. The service itself keeps
    /// how its last process ended; its socket says it.
    pub fn is_out_of_starts(&self) -> bool {
        self.is_failed && self.result.ends_with("start-limit-hit")
    }
}

/// Reads what `systemctl show --timestamp=unix` says of several units: a block for each.
pub fn of_systemd(text: &str) -> Vec<Manner> {
    text.split("\n\n").filter(|block| !block.trim().is_empty()).map(block_of_systemd).collect()
}

fn block_of_systemd(block: &str) -> Manner {
    let values: BTreeMap<&str, &str> = block.lines().filter_map(|line| line.split_once('=')).collect();
    let value = |key: &str| values.get(key).copied().unwrap_or_default();
    let number = |key: &str| value(key).parse::<u64>().ok().filter(|number| *number != u64::MAX);
    let active = value("ActiveState");
    let is_active = matches!(active, "active" | "activating" | "reloading");
    let since = if is_active { "ActiveEnterTimestamp" } else { "InactiveEnterTimestamp" };
    // A process that never ran has the code 0, as has one whose status says nothing.
    let has_ended = number("ExecMainCode").is_some_and(|code| code > 0);
    Manner {
        name: value("Id").to_owned(),
        is_loaded: value("LoadState") == "loaded",
        is_active,
        is_failed: active == "failed",
        doing: match value("SubState") {
            "" => active.to_owned(),
            sub => format!("{active} ({sub})"),
        },
        enabled: value("UnitFileState").to_owned(),
        pid: number("MainPID").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0),
        memory: number("MemoryCurrent"),
        result: value("Result").to_owned(),
        exit: has_ended.then(|| value("ExecMainStatus").parse().ok()).flatten(),
        since: value(since).strip_prefix('@').and_then(|seconds| seconds.parse().ok()),
        status: value("StatusText").to_owned(),
        restarts: number("NRestarts").and_then(|count| u32::try_from(count).ok()).unwrap_or(0),
        accepted: number("NAccepted"),
        needs_reload: value("NeedDaemonReload") == "yes",
        file: value("FragmentPath").to_owned(),
        drop_ins: value("DropInPaths").split_whitespace().map(str::to_owned).collect(),
        environment: assignments(value("Environment")),
    }
}

/// Reads assignments that stand side by side, one with a blank in it between quotes.
fn assignments(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        found.extend(word.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())));
        rest = after.trim_start();
    }
    found
}

/// Returns the directory of a user's own units in the `UnitPath` of their manager: it comes before those of the machine.
/// A path that systemd would have to quote is not found.
pub fn own_directory(unit_path: &str) -> Option<&Path> {
    let paths = unit_path.split_whitespace().map(Path::new);
    paths
        .take_while(|path| !path.starts_with("/etc"))
        .find(|path| path.is_absolute() && path.ends_with("systemd/user") && !path.starts_with("/run"))
}

/// Reads what `launchctl print gui/UID/LABEL` says; `None` stands for a label that it does not know.
pub fn of_launchd(label: &str, text: Option<&str>) -> Manner {
    let Some(text) = text else { return Manner { name: label.to_owned(), ..Manner::default() } };
    // The keys of the agent itself are one tab deep; those of its sockets and the like are deeper.
    let value = |key: &str| {
        let line =
            text.lines().find_map(|line| line.strip_prefix('\t')?.strip_prefix(key)?.strip_prefix(" = "));
        line.unwrap_or_default().trim().to_owned()
    };
    let state = value("state");
    let exit = value("last exit code").split(':').next().and_then(|code| code.trim().parse().ok());
    Manner {
        name: label.to_owned(),
        is_loaded: true,
        is_active: state == "running",
        is_failed: exit.is_some_and(|code: i32| code != 0) && state != "running",
        doing: state,
        enabled: "enabled".to_owned(),
        pid: value("pid").parse().ok(),
        exit,
        restarts: value("runs").parse().unwrap_or(0),
        file: value("path"),
        ..Manner::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "\
Id=karod.service
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
MainPID=4242
MemoryCurrent=12910592
Result=success
ExecMainStatus=0
ExecMainCode=0
ActiveEnterTimestamp=@1793228400
InactiveEnterTimestamp=
StatusText=accepting, 12 events searchable
NRestarts=1
NeedDaemonReload=no
FragmentPath=/home/ann/.config/systemd/user/karod.service
DropInPaths=/home/ann/.config/systemd/user/karod.service.d/override.conf
Environment=KARO_CONFIG=/c \"KARO_DATA_DIR=/s/a b\" MALLOC_MMAP_THRESHOLD_=131072

Id=karod.socket
LoadState=loaded
ActiveState=failed
SubState=failed
UnitFileState=disabled
MemoryCurrent=[not set]
Result=start-limit-hit
NAccepted=0
NeedDaemonReload=yes
FragmentPath=/home/ann/.config/systemd/user/karod.socket
DropInPaths=
";

    #[test]
    fn systemd_is_understood() {
        let units = of_systemd(SHOWN);
        let [service, socket] = units.as_slice() else { panic!("two units: {units:?}") };
        assert_eq!(service.doing, "active (running)");
        assert!(service.is_active && service.is_enabled() && !service.needs_reload && !service.is_failed);
        assert_eq!((service.pid, service.memory, service.exit), (Some(4242), Some(12_910_592), None));
        assert_eq!((service.since, service.restarts), (Some(1_793_228_400), 1));
        assert_eq!(service.drop_ins.len(), 1);
        let given = |name: &str| service.environment.get(name).map(String::as_str);
        assert_eq!((given("KARO_DATA_DIR"), given("KARO_CONFIG")), (Some("/s/a b"), Some("/c")));
        assert!(socket.is_failed && !socket.is_enabled() && socket.needs_reload && socket.is_out_of_starts());
        assert_eq!((socket.memory, socket.accepted, socket.pid), (None, Some(0), None));
    }

    #[test]
    fn a_unit_that_is_not_there_is_nothing() {
        let units =
            of_systemd("Id=karod.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n");
        assert!(!units[0].is_loaded && !units[0].is_active && !units[0].is_enabled());
        assert_eq!(of_systemd(""), []);
    }

    #[test]
    fn the_manager_says_where_units_of_the_user_are() {
        let before =
            "/h/c/systemd/user.control /run/user/7/systemd/user.control /run/user/7/systemd/transient";
        let after =
            "/etc/xdg/systemd/user /etc/systemd/user /run/user/7/systemd/user /usr/lib/systemd/user\n";
        let own = format!("{before} /h/c/systemd/user {after}");
        assert_eq!(own_directory(&own), Some(Path::new("/h/c/systemd/user")));
        assert_eq!(own_directory(&format!("{before} {after}")), None);
        assert_eq!(own_directory(&format!("\"/h/a c/systemd/user\" {after}")), None);
        assert_eq!(own_directory(""), None);
    }

    #[test]
    fn launchd_is_understood() {
        let text = "gui/501/org.karo.karod = {\n\tactive count = 1\n\tpath = /Users/ann/Library/LaunchAgents/org.karo.karod.plist\n\
            \tstate = running\n\n\tpid = 812\n\truns = 3\n\tlast exit code = 78: EX_CONFIG\n\tsockets = {\n\t\tstate = waiting\n\t}\n}\n";
        let agent = of_launchd("org.karo.karod", Some(text));
        assert!(agent.is_loaded && agent.is_active && !agent.is_failed);
        assert_eq!((agent.pid, agent.exit, agent.restarts), (Some(812), Some(78), 3));
        assert!(!of_launchd("org.karo.karod", None).is_loaded);
    }
}
