//! `karoctl service status`: how the service is, for people and as JSON.

use karo_protocol::Timestamp;
use serde_json::{Value, json};

use super::machine::{Keeper, Machine, Scope, Standing, Unit};
use super::plan::in_shell;
use super::steps;
use crate::ctl::scene::Scene;
use crate::ctl::shown::{Newline, shown};
use crate::ctl::status::bytes;
use crate::ctl::when;

/// Exit codes after which trying again mends nothing, and what they ask for: of karod, and of a service manager that
/// could not make the sandbox.
const FINAL: [(i32, &str); 5] = [
    (2, "its command line is wrong"),
    (3, "another karod has the data directory"),
    (78, "the configuration cannot be used: see `karoctl config check`"),
    (217, NO_SANDBOX),
    (226, NO_SANDBOX),
];

/// What is to be thought of a sandbox that could not be made.
const NO_SANDBOX: &str = "the sandbox of the unit cannot be made: a directory that it opens is missing, or this machine \
    has no namespaces for ordinary users (docs/service.md, \"Without namespaces\")";

/// Returns what an exit code asks for that trying again does not mend.
pub fn meaning(exit: i32) -> Option<&'static str> {
    FINAL.iter().find(|(code, _)| *code == exit).map(|(_, meaning)| *meaning)
}

/// Returns what there is to say: names and values.
pub fn lines(machine: &Machine, scene: &Scene) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let Some(service) = machine.service() else { return lines };
    if let Some(account) = &machine.served {
        let see = format!("{}: `karoctl service status --system --for {account}`", steps::served(account));
        return vec![("service", see), ("log", log(machine))];
    }
    lines.push(("service", running(service, machine, scene)));
    if !service.manner.status.is_empty() {
        lines.push(("says", service.manner.status.clone()));
    }
    if let Some(ended) = ended(service) {
        lines.push(("last exit", ended));
    }
    for unit in &machine.units {
        lines.push(("unit", file(unit, machine)));
    }
    lines.push(("starts", starts(machine)));
    if let Some(lingers) = machine.lingers {
        let text =
            if lingers { "on: goes on after your last logout" } else { "off: ends with your last logout" };
        lines.push(("lingering", text.to_owned()));
    }
    lines.push(("log", log(machine)));
    lines
}

fn running(service: &Unit, machine: &Machine, scene: &Scene) -> String {
    let manner = &service.manner;
    let name = &service.name;
    if let (false, Some(pid)) = (manner.is_active, machine.stray) {
        return format!("{name} does not run; karod runs outside of it, as process {pid}");
    }
    if !manner.is_loaded {
        return match &machine.keeper {
            Keeper::Nobody(why) => format!("cannot be told: {why}"),
            Keeper::Systemd | Keeper::Launchd => format!("{name} is not installed"),
        };
    }
    let mut text = format!("{name} is {}", manner.doing);
    if let Some(since) = manner.since {
        let zone = scene.now().time_zone();
        text.push_str(&format!(" since {}", when::long(Timestamp::from_micros(since * 1_000_000), zone)));
    }
    if let Some(pid) = manner.pid {
        text.push_str(&format!(", process {pid}"));
    }
    if let Some(memory) = manner.memory.filter(|_| manner.is_active) {
        text.push_str(&format!(", {}", bytes(memory)));
    }
    if manner.restarts > 0 {
        text.push_str(&format!(", started again {} times", manner.restarts));
    }
    text
}

/// Says how the last process ended, if not in order.
fn ended(service: &Unit) -> Option<String> {
    let manner = &service.manner;
    let given_up = manner.is_failed.then_some(manner.result.as_str()).filter(|result| *result != "success");
    let told = manner.exit.filter(|exit| *exit != 0).map(|exit| {
        let meaning = meaning(exit).map(|meaning| format!(", {meaning}"));
        format!("status {exit}{}", meaning.unwrap_or_default())
    });
    match (told, given_up) {
        (Some(told), Some(given_up)) => Some(format!("{told} ({given_up})")),
        (Some(told), None) => Some(told),
        (None, given_up) => given_up.map(str::to_owned),
    }
}

fn file(unit: &Unit, machine: &Machine) -> String {
    let at = unit.path.display();
    let mut text = match unit.standing(&machine.receipt) {
        Standing::Absent if unit.packaged.is_some() => {
            format!(
                "{}, as a package has it",
                unit.packaged.as_ref().map_or("".into(), |(path, _)| path.to_string_lossy())
            )
        }
        Standing::Absent => format!("{at} is not there"),
        Standing::Right => at.to_string(),
        Standing::Packaged => {
            unit.packaged.as_ref().map_or_else(String::new, |(path, _)| path.display().to_string())
        }
        Standing::Outdated => format!("{at}, of another karoctl: `karoctl service install` renews it"),
        Standing::Foreign => format!("{at}, not written by karoctl or changed since"),
    };
    for drop_in in &unit.manner.drop_ins {
        text.push_str(&format!(", changed by {drop_in}"));
    }
    text
}

fn starts(machine: &Machine) -> String {
    let by_itself = |unit: &Unit| unit.manner.is_enabled() && unit.manner.is_loaded;
    let at = match machine.scope {
        Scope::User => "at login",
        Scope::System { .. } => "with the machine",
    };
    let at_login = machine.service().is_some_and(by_itself).then(|| at.to_owned());
    let listens = |socket: &&Unit| socket.manner.is_active;
    let on_demand =
        machine.socket().filter(listens).map(|socket| format!("with the first command ({})", socket.name));
    match (at_login, on_demand) {
        (Some(login), Some(demand)) => format!("{login}, or {demand}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "not by itself".to_owned(),
    }
}

/// Says how the log is read.
pub fn log(machine: &Machine) -> String {
    if let Some(account) = &machine.served {
        return format!("journalctl -u karod@{account}");
    }
    match (&machine.keeper, &machine.scope) {
        (Keeper::Systemd, Scope::User) => "journalctl --user -u karod".to_owned(),
        (Keeper::Systemd, Scope::System { account }) => format!("journalctl -u karod@{account}"),
        (Keeper::Launchd, _) => in_shell(&["tail".to_owned(), machine.log.to_string_lossy().into_owned()]),
        (Keeper::Nobody(_), _) => "on the standard error of karod".to_owned(),
    }
}

/// Returns the lines as text.
pub fn text(lines: &[(&'static str, String)]) -> String {
    lines
        .iter()
        .map(|(name, value)| format!("{name:<10} {}\n", shown(value.as_bytes(), Newline::Arrow)))
        .collect()
}

/// Returns the same as JSON.
pub fn to_json(machine: &Machine) -> Value {
    let unit = |unit: &Unit| {
        let manner = &unit.manner;
        json!({
            "name": unit.name,
            "path": unit.path.to_string_lossy(),
            "standing": standing(unit.standing(&machine.receipt)),
            "loaded": manner.is_loaded,
            "active": manner.is_active,
            "failed": manner.is_failed,
            "enabled": manner.is_enabled(),
            "doing": manner.doing,
            "result": manner.result,
            "exit": manner.exit,
            "pid": manner.pid,
            "memory_bytes": manner.memory,
            "since": manner.since.map(|since| when::rfc3339(Timestamp::from_micros(since * 1_000_000), 0)),
            "restarts": manner.restarts,
            "accepted": manner.accepted,
            "says": manner.status,
            "drop_ins": manner.drop_ins,
        })
    };
    json!({
        "manager": match &machine.keeper {
            Keeper::Systemd => "systemd",
            Keeper::Launchd => "launchd",
            Keeper::Nobody(_) => "none",
        },
        "units": machine.units.iter().map(unit).collect::<Vec<_>>(),
        "linger": machine.lingers,
        "outside": machine.stray,
        "served": machine.served.as_ref().map(|account| format!("karod@{account}.service")),
        "log": log(machine),
    })
}

const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Absent => "absent",
        Standing::Right => "right",
        Standing::Packaged => "packaged",
        Standing::Outdated => "outdated",
        Standing::Foreign => "foreign",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_named_where_it_is() {
        let named =
            |keeper| log(&Machine { keeper, log: "/s t/karo/karod.log".into(), ..Machine::default() });
        assert_eq!(named(Keeper::Launchd), "tail '/s t/karo/karod.log'");
        assert_eq!(named(Keeper::Systemd), "journalctl --user -u karod");
    }
}
