//! What a daemon that was taken over could do: tried from inside the units, with the same user outside for comparison.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use karo_tests::machine::Machine;

const PROBE: &str = include_str!("probe.pl");

/// What must be possible inside: without it there is no Karo.
const ALLOWED: [&str; 8] = [
    "write data",
    "write state",
    "read home",
    "reach journal",
    "socket inet",
    "socket inet6",
    "socket unix",
    "socket netlink",
];

/// What any program of the user may do, and the daemon may not: here the unit is what refuses.
const REFUSED_BY_US: [&str; 33] = [
    "write home",
    "write startup",
    "write configuration",
    "write cgroup",
    "read keys",
    "read temporary files",
    "read kernel modules",
    "read kernel symbols",
    "see system processes",
    "reach services",
    "reach system bus",
    "reach session bus",
    "reach manager",
    "trace",
    "read memory of others",
    "look into others",
    "new user namespace",
    "new mount namespace",
    "new net namespace",
    "new pid namespace",
    "new uts namespace",
    "new ipc namespace",
    "clone namespace",
    "memory W+X",
    "memory W then X",
    "set user id bit",
    "socket vsock",
    "priority",
    "personality",
    "keyring",
    "userfaultfd",
    "calls of others",
    "others' homes",
];

/// What is refused to ordinary users anyhow, and inside with the word of the unit.
const REFUSED_AT_ALL: [(&str, &str); 17] = [
    ("write system", "EROFS"),
    ("write sysctl", "EROFS"),
    ("socket packet", "EAFNOSUPPORT"),
    ("socket alg", "EAFNOSUPPORT"),
    ("socket bluetooth", "EAFNOSUPPORT"),
    ("socket kcm", "EAFNOSUPPORT"),
    ("socket xdp", "EAFNOSUPPORT"),
    ("kernel log", ""),
    ("realtime", "EPERM"),
    ("host name", "EPERM"),
    ("clock", "EPERM"),
    ("module", "EPERM"),
    ("perf", "EPERM"),
    ("bpf", "EPERM"),
    ("mount", "EPERM"),
    ("device", "EPERM"),
    ("disk", "ENOENT"),
];

type Found = BTreeMap<String, String>;

fn found(text: &str) -> Found {
    let pairs = text.lines().filter_map(|line| line.split_once(": "));
    pairs.map(|(name, word)| (name.to_owned(), word.to_owned())).collect()
}

/// A process of ann's that does nothing; gone with the value.
struct Victim {
    process: Child,
    /// As the machine counts.
    pid: String,
}

impl Victim {
    fn of(machine: &Machine) -> Self {
        let mut process = machine.command_as("ann", "echo $$ && exec sleep infinity");
        let mut process = process.stdout(Stdio::piped()).spawn().expect("sh can be run");
        let mut pid = String::new();
        let said = process.stdout.as_mut().expect("it is a pipe");
        BufReader::new(said).read_line(&mut pid).expect("it says its number");
        Self { process, pid: pid.trim().to_owned() }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // What of it is in the machine goes with the machine.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Runs the probe beside a unit and where its daemon would run; returns what was found inside and outside.
fn probed(machine: &Machine, unit: &str, start: impl FnOnce(&Machine)) -> (Found, Found) {
    machine.write("/usr/local/bin/probe.pl", PROBE);
    let victim = Victim::of(machine);
    let probe = |output: &str| format!("perl /usr/local/bin/probe.pl {output} {}", victim.pid);
    let outside = machine.as_user("ann", &format!("{} && cat out", probe("out"))).ok();
    let scope = if unit.contains('@') { "system" } else { "user" };
    let inside = "/home/ann/.local/share/karo/in";
    let drop_in = format!(
        "[Service]\nType=oneshot\nWatchdogSec=0\nRestart=no\nExecStart=\nExecStart=/usr/bin/{}\n",
        probe(inside)
    );
    machine.write(&format!("/etc/systemd/{scope}/{unit}.d/probe.conf"), &drop_in);
    start(machine);
    (found(&machine.root(&format!("cat {inside}")).ok()), found(&outside))
}

fn judge(inside: &Found, outside: &Found, except: &[&str]) {
    let mut wrong = Vec::new();
    let mut expect = |name: &str, what: bool| {
        if !what && !except.contains(&name) {
            wrong.push(format!("{name}: {:?} inside, {:?} outside", inside.get(name), outside.get(name)));
        }
    };
    let is_done = |of: &Found, name: &str| of.get(name).is_some_and(|word| word == "done");
    for name in ALLOWED {
        expect(name, is_done(inside, name));
    }
    for name in REFUSED_BY_US {
        // What this machine refuses to everybody proves nothing of the unit, and takes nothing from it either.
        if !is_done(outside, name) {
            eprintln!("not compared: {name} is {:?} outside", outside.get(name));
        }
        expect(name, inside.contains_key(name) && !is_done(inside, name));
    }
    for (name, word) in REFUSED_AT_ALL {
        let refusal = inside.get(name);
        expect(name, refusal.is_some_and(|said| said != "done" && (word.is_empty() || said == word)));
    }
    for (name, value) in [("nonewprivs", "1"), ("seccomp", "2"), ("capbnd", "0000000000000000")] {
        expect(name, inside.get(name).is_some_and(|said| said == value));
    }
    let devices = inside.get("dev").map_or("", String::as_str);
    expect("dev", devices.contains("null") && !devices.contains("kmsg"));
    assert!(wrong.is_empty(), "{}\nall inside: {inside:#?}", wrong.join("\n"));
}

/// Where people's programs keep keys and sessions, each in the home.
const KEYS: [&str; 17] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".password-store",
    ".netrc",
    ".Xauthority",
    ".mozilla",
    ".thunderbird",
    ".config/gcloud",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".local/share/keyrings",
    ".local/share/kwalletd",
];

/// What acts for whoever asks it, each in `/run`.
const SERVICES: [&str; 5] = ["docker.sock", "containerd", "podman", "libvirt", "snapd.socket"];

/// Makes a user with a manager and keys, services of the system, and somebody whose home is open.
fn furnish(machine: &Machine) {
    machine.add_user("ann");
    // What is a file or a socket elsewhere is a directory here: that one can be looked into.
    let secrets = |names: &[&str]| {
        let names = names.join(" ");
        format!("for name in {names}; do mkdir -p $name && echo >$name/secret || exit; done")
    };
    let places = "mkdir -p .config/karo .local/share/karo .local/state/karo";
    machine.as_user("ann", &format!("{places} && {}", secrets(&KEYS))).ok();
    machine.root(&format!("umask 022 && cd /run && {}", secrets(&SERVICES))).ok();
    machine
        .root("umask 022 && mkdir -p /usr/lib/modules && echo | tee /tmp/secret >/usr/lib/modules/secret")
        .ok();
    machine.add_guest("eve");
    machine.root("chmod 0755 /home/eve").ok();
}

#[test]
fn root_the_daemon_of_a_user_can_do_little() {
    let Some(machine) = Machine::boot() else { return };
    furnish(&machine);
    let (inside, outside) = probed(&machine, "karod.service", |machine| {
        machine.as_user("ann", "systemctl --user daemon-reload && systemctl --user start karod").ok();
    });
    // The manager of an ordinary user has no /proc to mount that would hide them.
    judge(&inside, &outside, &["see system processes"]);
}

#[test]
fn root_the_daemon_of_the_template_can_do_little() {
    let Some(machine) = Machine::boot() else { return };
    furnish(&machine);
    let (inside, outside) = probed(&machine, "karod@ann.service", |machine| {
        machine.root("systemctl daemon-reload && systemctl start karod@ann").ok();
    });
    // That manager is root and could hide them, but then homes elsewhere could not be opened with one line.
    judge(&inside, &outside, &["others' homes"]);
}
