//! This machine as plans see it: which service manager there is, what lies where the units go, how they are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use karo_protocol::places::Places;

use super::manner::{self, Manner};
use super::plan::in_shell;
use super::receipt::{self, Receipt};
use super::template::{self, Home};
use super::unit::{self, Filling};
use crate::ctl::exit::Trouble;
use crate::ctl::scene::Scene;
use crate::ctl::shell::own_path;
use crate::ctl::status;
use crate::surroundings::uid;

/// The label of the agent of launchd.
pub const LABEL: &str = "org.karo.karod";

/// The variables by which units name places.
const PLACES: [&str; 5] = ["KARO_CONFIG", "KARO_DATA_DIR", "KARO_SOCKET", "KARO_SPOOL_DIR", "XDG_STATE_HOME"];

/// Where root keeps what was done for the whole machine.
const SYSTEM_RECEIPT: &str = "/var/lib/karo/receipt.json";

/// Where karoctl puts the journal's catalog; packages have theirs in the other place.
pub const CATALOG: &str = "/usr/local/lib/systemd/catalog/karod.catalog";
const PACKAGED_CATALOG: &str = "/usr/lib/systemd/catalog/karod.catalog";

/// What explains Karo's messages to `journalctl -x`.
pub const CATALOG_TEXT: &str = include_str!("../../../../service-units/karod.catalog");

/// Where packages put units: for users, and for the system.
const PACKAGED: [[&str; 4]; 2] = [
    ["/etc/systemd/user", "/usr/local/lib/systemd/user", "/usr/lib/systemd/user", "/lib/systemd/user"],
    [
        "/run/systemd/system",
        "/usr/local/lib/systemd/system",
        "/usr/lib/systemd/system",
        "/lib/systemd/system",
    ],
];

/// Who looks after services here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Keeper {
    /// systemd: of the user, or of the system.
    #[default]
    Systemd,
    /// launchd.
    Launchd,
    /// Nobody that can be asked, for this reason.
    Nobody(String),
}

/// For whom the service is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Scope {
    /// For whoever runs karoctl.
    #[default]
    User,
    /// An instance of the system's template, for this account.
    System {
        /// The account.
        account: String,
    },
}

/// One unit: the text that it should have, and what is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit {
    /// What the service manager calls it.
    pub name: String,
    /// Where karoctl puts its file.
    pub path: PathBuf,
    /// What karoctl would write.
    pub wanted: String,
    /// What lies there.
    pub found: Option<Vec<u8>>,
    /// Where a package has put one, and what.
    pub packaged: Option<(PathBuf, Vec<u8>)>,
    /// How it is.
    pub manner: Manner,
}

/// What is to be thought of the file of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// There is none.
    Absent,
    /// It is as karoctl would write it.
    Right,
    /// A package has it, as karoctl would write it, and none of our own hides that.
    Packaged,
    /// karoctl wrote it, and would write it in another way.
    Outdated,
    /// Somebody else wrote or changed it.
    Foreign,
}

/// This machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Machine {
    /// Who looks after services.
    pub keeper: Keeper,
    /// For whom the service is.
    pub scope: Scope,
    /// Who asks.
    pub uid: u32,
    /// The karod to run: that beside karoctl.
    pub karod: PathBuf,
    /// Whether it is there.
    pub has_karod: bool,
    /// The units, that of the daemon first.
    pub units: Vec<Unit>,
    /// Directories that are needed and not there.
    pub missing: Vec<PathBuf>,
    /// Whether the journal cannot explain what karod says, for want of its catalog; only root can mend that.
    pub lacks_catalog: bool,
    /// Whether services of this user go on without a login; `None` where there is no such thing.
    pub lingers: Option<bool>,
    /// A daemon of this user that no unit started, where their units are looked at.
    pub stray: Option<u32>,
    /// The account whose instance of the system's template clients of this user reach, where their units are looked at.
    pub served: Option<String>,
    /// Accounts besides that of the scope that have an instance of the same template.
    pub sharers: BTreeSet<String>,
    /// Where the home of the account of the scope is; `None` where the scope has no account.
    pub home: Option<Home>,
    /// What was done here before.
    pub receipt: Receipt,
    /// Where that is written down.
    pub receipt_path: PathBuf,
    /// The places, as the variables that units give to karod.
    pub places: BTreeMap<&'static str, PathBuf>,
    /// Where karod logs to where nobody takes its standard error.
    pub log: PathBuf,
}

impl Unit {
    /// Judges the file.
    pub fn standing(&self, receipt: &Receipt) -> Standing {
        let wanted = self.wanted.as_bytes();
        match (&self.found, &self.packaged) {
            (Some(found), _) if found == wanted => Standing::Right,
            (Some(found), _) if receipt.is_as_written(&self.path, found) => Standing::Outdated,
            (Some(_), _) => Standing::Foreign,
            (None, Some((_, packaged))) if packaged == wanted => Standing::Packaged,
            (None, _) => Standing::Absent,
        }
    }
}

impl Machine {
    /// Looks at this machine.
    ///
    /// # Errors
    ///
    /// When a place has no name, or what was done before cannot be read.
    pub fn look(scene: &Scene, scope: Scope) -> Result<Self, Trouble> {
        let uid = uid();
        let keeper = keeper(&scope, uid);
        let karod = own_path()?.with_file_name("karod");
        // The places of the accounts of a template are found by each of its daemons.
        let places = match scope {
            Scope::User => Some(scene.places()?),
            Scope::System { .. } => None,
        };
        let receipt_path = match &places {
            Some(places) => places.data.join(receipt::NAME),
            None => SYSTEM_RECEIPT.into(),
        };
        let receipt = match scope {
            // That of the system is root's alone, and only root does anything by it.
            Scope::System { .. } if !rustix::process::geteuid().is_root() => Receipt::default(),
            Scope::User | Scope::System { .. } => Receipt::read(&receipt_path)?,
        };
        let served = places.as_ref().and_then(|places| template::serving(&places.socket, uid));
        let filling = match &places {
            Some(places) => filling(places, &karod, uid)?,
            None => Filling { karod: karod.clone(), ..Filling::default() },
        };
        let mut units = units(&keeper, &scope, &filling, uid)?;
        read_manners(&keeper, &scope, uid, &mut units);
        let listens = units.iter().any(|unit| unit.manner.is_active);
        Ok(Self {
            missing: missing(&keeper, places.as_ref(), &units),
            lacks_catalog: keeper == Keeper::Systemd
                && !Path::new(PACKAGED_CATALOG).exists()
                && fs::read(CATALOG).ok().as_deref() != Some(CATALOG_TEXT.as_bytes()),
            lingers: (keeper == Keeper::Systemd && scope == Scope::User).then(|| lingers(uid)),
            // To ask a socket that systemd holds would start the daemon, and what root's service manager runs is no
            // stray; nor is whoever asks for the unit of somebody else in the way of that.
            stray: match scope {
                Scope::User if !listens && served.is_none() => stray(scene),
                Scope::User | Scope::System { .. } => None,
            },
            served,
            home: match &scope {
                Scope::User => None,
                Scope::System { account } => Some(template::home(account, uid)),
            },
            sharers: match &scope {
                Scope::User => BTreeSet::new(),
                Scope::System { account } => template::sharers(account, uid),
            },
            has_karod: karod.is_file(),
            keeper,
            scope,
            uid,
            karod,
            units,
            receipt,
            receipt_path,
            places: filling.variables,
            log: filling.log,
        })
    }

    /// Returns the unit of the daemon.
    pub fn service(&self) -> Option<&Unit> {
        self.units.first()
    }

    /// Returns the unit of the socket; launchd has none apart.
    pub fn socket(&self) -> Option<&Unit> {
        self.units.get(1)
    }

    /// Returns the places that somebody's changes beside the unit give to karod and this shell does not know of: the
    /// variable and its value there. Who asks from here looks elsewhere than karod writes.
    pub fn apart(&self) -> Vec<(&'static str, &str)> {
        let Some(service) = self.service().filter(|service| !service.manner.drop_ins.is_empty()) else {
            return Vec::new();
        };
        let apart = |name: &'static str| {
            let there = service.manner.environment.get(name)?.as_str();
            (self.places.get(name).map(PathBuf::as_path) != Some(Path::new(there))).then_some((name, there))
        };
        PLACES.into_iter().filter_map(apart).collect()
    }

    /// Returns what root has to run so that the journal explains what karod says, if it cannot yet.
    pub fn catalog_command(&self) -> Option<String> {
        let karoctl = in_shell(&[self.karod.with_file_name("karoctl").to_string_lossy().into_owned()]);
        self.lacks_catalog.then(|| {
            format!(
                "{karoctl} service catalog | sudo install -D -m 0644 /dev/stdin {CATALOG} && \
                 sudo journalctl --update-catalog"
            )
        })
    }

    /// Tells whether there is a file of each unit, whoever wrote it.
    pub fn is_installed(&self) -> bool {
        let has_file = |unit: &Unit| unit.found.is_some() || unit.packaged.is_some();
        !self.units.is_empty() && self.units.iter().all(has_file)
    }
}

fn keeper(scope: &Scope, uid: u32) -> Keeper {
    if cfg!(target_os = "macos") {
        return match scope {
            Scope::User => Keeper::Launchd,
            Scope::System { .. } => Keeper::Nobody("launchd runs karod for each user by itself".to_owned()),
        };
    }
    if !Path::new("/run/systemd/system").is_dir() {
        return Keeper::Nobody("systemd does not run this machine".to_owned());
    }
    let private = format!("/run/user/{uid}/systemd/private");
    if *scope == Scope::User && !Path::new(&private).exists() {
        return Keeper::Nobody(format!(
            "no service manager runs for user {uid} (there is no {private}), as after `su` and `sudo`: log in as \
             that user, or let root run `loginctl enable-linger` for it, or use --system"
        ));
    }
    Keeper::Systemd
}

/// Returns the environment in which the service manager of that user is found, after `su` too.
pub fn environment(uid: u32) -> Vec<(&'static str, String)> {
    match Path::new(&format!("/run/user/{uid}")).is_dir() {
        true => vec![
            ("XDG_RUNTIME_DIR", format!("/run/user/{uid}")),
            ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path=/run/user/{uid}/bus")),
        ],
        false => Vec::new(),
    }
}

/// Returns a base directory of the XDG specification.
fn base(name: &str, below_home: &str) -> Result<PathBuf, Trouble> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(below_home));
    absolute(name).or_else(home).ok_or_else(|| {
        Trouble::refused("HOME is not set to an absolute path, and files of the service lie below it; set it")
    })
}

/// Returns where the service manager of a user looks for the units of that user. Its environment may be another than
/// the one that karoctl has, so it is asked.
fn unit_directory(keeper: &Keeper, uid: u32) -> Result<PathBuf, Trouble> {
    let told = match keeper {
        Keeper::Systemd => output(&["systemctl", "--user", "show", "--property=UnitPath", "--value"], uid),
        Keeper::Launchd | Keeper::Nobody(_) => None,
    };
    match told.as_deref().and_then(manner::own_directory) {
        Some(directory) => Ok(directory.to_owned()),
        None => Ok(base("XDG_CONFIG_HOME", ".config")?.join("systemd/user")),
    }
}

fn filling(places: &Places, karod: &Path, uid: u32) -> Result<Filling, Trouble> {
    let mut filling = Filling {
        karod: karod.to_owned(),
        home: base("HOME", "")?,
        runtime: format!("/run/user/{uid}").into(),
        ..Filling::default()
    };
    let state = base("XDG_STATE_HOME", ".local/state")?;
    let mut variables = BTreeMap::from([
        ("KARO_CONFIG", places.config.clone()),
        ("KARO_DATA_DIR", places.data.clone()),
        ("XDG_STATE_HOME", state.clone()),
    ]);
    if std::env::var_os("KARO_SPOOL_DIR").is_some_and(|path| !path.is_empty()) {
        variables.insert("KARO_SPOOL_DIR", places.client_spool.clone());
    }
    filling.directories = vec![
        ("%h/.config/karo", places.config.parent().unwrap_or(Path::new("/")).to_owned()),
        ("%h/.local/share/karo", places.data.clone()),
        ("%h/.local/state/karo", state.join("karo")),
    ];
    filling.written = vec![places.data.clone(), places.client_spool.clone(), places.hook_spool.clone()];
    // Where root's service manager listens, a unit of this user cannot.
    if template::served(&places.socket).is_none() {
        let around = places.socket.parent().unwrap_or(Path::new("/")).to_owned();
        variables.insert("KARO_SOCKET", places.socket.clone());
        filling.directories.push(("%t/karo", around.clone()));
        filling.written.push(around);
    }
    filling.written.dedup();
    filling.variables = variables;
    filling.log = state.join("karo/karod.log");
    Ok(filling)
}

fn units(keeper: &Keeper, scope: &Scope, filling: &Filling, uid: u32) -> Result<Vec<Unit>, Trouble> {
    let texts: Vec<(String, PathBuf, String)> = match (keeper, scope) {
        (Keeper::Launchd, _) => vec![(
            LABEL.to_owned(),
            filling.home.join(format!("Library/LaunchAgents/{LABEL}.plist")),
            filling.agent(unit::AGENT),
        )],
        (Keeper::Systemd | Keeper::Nobody(_), Scope::User) => {
            let directory = unit_directory(keeper, uid)?;
            [("karod.service", unit::SERVICE), ("karod.socket", unit::SOCKET)]
                .map(|(name, text)| (name.to_owned(), directory.join(name), filling.unit(text)))
                .to_vec()
        }
        (Keeper::Systemd | Keeper::Nobody(_), Scope::System { account }) => {
            [("service", unit::SYSTEM_SERVICE), ("socket", unit::SYSTEM_SOCKET)]
                .map(|(kind, text)| {
                    let path = Path::new("/etc/systemd/system").join(format!("karod@.{kind}"));
                    (format!("karod@{account}.{kind}"), path, filling.unit(text))
                })
                .to_vec()
        }
    };
    let packaged = &PACKAGED[usize::from(*scope != Scope::User)];
    texts
        .into_iter()
        .map(|(name, path, wanted)| {
            let file_name = path.file_name().unwrap_or_default().to_owned();
            let found_by_package = packaged
                .iter()
                .map(|directory| Path::new(directory).join(&file_name))
                .find_map(|path| fs::read(&path).ok().map(|bytes| (path, bytes)));
            let found = match fs::symlink_metadata(&path) {
                // What cannot be read was not written by us, and is not overwritten.
                Ok(_) => Some(fs::read(&path).unwrap_or_default()),
                Err(_) => None,
            };
            Ok(Unit { name, path, wanted, found, packaged: found_by_package, manner: Manner::default() })
        })
        .collect()
}

fn read_manners(keeper: &Keeper, scope: &Scope, uid: u32, units: &mut [Unit]) {
    let manners = match keeper {
        Keeper::Systemd => {
            let names: Vec<&str> = units.iter().map(|unit| unit.name.as_str()).collect();
            let mut command = systemctl(scope);
            command.extend(["show", "--timestamp=unix", manner::PROPERTIES]);
            command.extend(names);
            manner::of_systemd(&output(&command, uid).unwrap_or_default())
        }
        Keeper::Launchd => {
            let target = format!("gui/{uid}/{LABEL}");
            let text = output(&["launchctl", "print", &target], uid);
            vec![manner::of_launchd(LABEL, text.as_deref())]
        }
        Keeper::Nobody(_) => Vec::new(),
    };
    for (unit, manner) in units.iter_mut().zip(manners) {
        unit.manner = manner;
    }
}

/// Returns the beginning of a command for the service manager of that scope.
pub fn systemctl(scope: &Scope) -> Vec<&'static str> {
    match scope {
        Scope::User => vec!["systemctl", "--user"],
        Scope::System { .. } => vec!["systemctl"],
    }
}

/// Returns what a program prints; `None` when it cannot be run or fails.
pub fn output(command: &[&str], uid: u32) -> Option<String> {
    let (program, arguments) = command.split_first()?;
    let done = Command::new(program)
        .args(arguments)
        .envs(environment(uid))
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    done.status.success().then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

fn lingers(uid: u32) -> bool {
    let shown = output(&["loginctl", "show-user", &uid.to_string(), "--property=Linger", "--value"], uid);
    shown.is_some_and(|text| text.trim() == "yes")
}

/// Directories that karod and the units need: its own first, so that what is done can be written down there.
fn missing(keeper: &Keeper, places: Option<&Places>, units: &[Unit]) -> Vec<PathBuf> {
    let of_units = units.iter().filter_map(|unit| unit.path.parent());
    let needed: Vec<&Path> = match places {
        Some(places) => {
            let own = [&places.data, &places.client_spool, &places.hook_spool].map(PathBuf::as_path);
            // The socket's unit makes what is around it; launchd has nobody who does.
            let around = places.socket.parent().filter(|_| *keeper == Keeper::Launchd);
            own.into_iter().chain(around).chain(of_units).collect()
        }
        None => {
            let catalog = Path::new(CATALOG).parent();
            Path::new(SYSTEM_RECEIPT).parent().into_iter().chain(of_units).chain(catalog).collect()
        }
    };
    let mut missing: Vec<PathBuf> = Vec::new();
    for path in needed {
        if !path.exists() && missing.iter().all(|known| known != path) {
            missing.push(path.to_owned());
        }
    }
    missing
}

/// Returns the daemon that answers at this user's socket, or that only listens there.
///
/// A socket that a service manager of any kind has made belongs to that: nobody but a karod is ever taken for one.
fn stray(scene: &Scene) -> Option<u32> {
    let mut connection = scene.connect().ok()?;
    let listens = connection.pid()?;
    if is_karod(listens) {
        return Some(listens);
    }
    status::ask(&mut connection).ok().map(|status| status.pid)
}

/// Tells whether a process runs karod; where the system does not say, it is believed.
fn is_karod(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).map_or(true, |name| name.trim_end() == "karod")
}

#[cfg(test)]
mod tests {
    use super::*;
    use karo_protocol::local::{Reply, Request};

    use crate::ctl::samples::{scene, status};
    use crate::fake::FakeDaemon;

    #[test]
    fn a_daemon_of_whoever_asks_is_in_the_way_of_their_own_units_only() {
        let daemon = FakeDaemon::serve(|session| {
            let (id, request) = session.request();
            assert_eq!(request, Request::Status(()));
            session.reply(id, &Reply::Status(Box::new(status())));
        });
        let (scene, _) = scene(&daemon);
        let machine = Machine::look(&scene, Scope::System { account: "bob".to_owned() });
        assert_eq!(machine.expect("it can be looked at").stray, None);
        // This process listens, and is none; who says that it is one is asked.
        assert_eq!(stray(&scene), Some(status().pid));
        assert!(!is_karod(std::process::id()) && is_karod(u32::MAX));
    }

    #[test]
    fn what_nobody_else_makes_is_missed() {
        let directory = crate::fake::private_directory();
        let socket = directory.path().join("run/karod.sock");
        let places = Places { socket, ..crate::fake::places_in(&directory) };
        let missed = |keeper| missing(&keeper, Some(&places), &[]);
        let at = |name: &str| directory.path().join(name);
        assert_eq!(missed(Keeper::Systemd), [at("data"), at("spool")]);
        assert_eq!(missed(Keeper::Launchd), [at("data"), at("spool"), at("run")]);
    }
}
