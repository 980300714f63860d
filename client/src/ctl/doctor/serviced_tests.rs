use super::super::Mark;
use super::*;
use crate::ctl::service::manner::Manner;

fn unit(kind: &str) -> Unit {
    let text = format!("[{kind}]\nExecStart=/usr/bin/karod\n");
    Unit {
        name: format!("karod.{kind}"),
        path: format!("/h/karod.{kind}").into(),
        found: Some(text.clone().into_bytes()),
        wanted: text,
        manner: Manner {
            is_loaded: true,
            is_active: true,
            doing: "active (running)".to_owned(),
            enabled: "enabled".to_owned(),
            pid: Some(42),
            ..Manner::default()
        },
        ..Unit::default()
    }
}

/// A machine on which all is well.
fn well() -> Serviced {
    Serviced {
        machine: Machine {
            keeper: Keeper::Systemd,
            uid: 7,
            karod: "/usr/bin/karod".into(),
            has_karod: true,
            units: vec![unit("service"), unit("socket")],
            lingers: Some(false),
            receipt_path: "/h/receipt.json".into(),
            ..Machine::default()
        },
        program: Some(("/usr/bin/karod".into(), Some(KAROCTL.to_owned()))),
        is_replaced: false,
        log: Vec::new(),
        log_bytes: 0,
        has_journal: true,
        answers: Some(42),
    }
}

/// Changes a machine on which all is well, and returns what is said that is not well: what and mend.
fn ill(change: impl FnOnce(&mut Serviced)) -> Vec<(Mark, String, String)> {
    let mut serviced = well();
    change(&mut serviced);
    let checks = checks(&serviced).into_iter().filter(|check| check.mark != Mark::Ok);
    checks.map(|check| (check.mark, check.found, check.mend.unwrap_or_default())).collect()
}

/// Demands one complaint with these words in it, and a mend with those.
#[track_caller]
fn check(change: impl FnOnce(&mut Serviced), mark: Mark, found: &str, mend: &str) {
    let ill = ill(change);
    let [(marked, said, mended)] = ill.as_slice() else { panic!("one complaint: {ill:#?}") };
    assert_eq!(*marked, mark, "{said}");
    assert!(said.contains(found), "{said}");
    assert!(mended.contains(mend), "{mended}");
}

#[test]
fn a_machine_on_which_all_is_well_is_not_complained_of() {
    assert_eq!(ill(|_| {}), []);
    let said: Vec<String> = checks(&well()).into_iter().map(|check| check.found).collect();
    assert_eq!(said[0], "karod.service is active (running)");
    assert!(said[1].starts_with("karod ends with your last logout"), "{said:?}");
}

#[test]
fn units_are_missed_changed_and_outdated() {
    check(
        |s| {
            s.machine.units.iter_mut().for_each(|unit| {
                unit.found = None;
                unit.manner = Manner::default();
            });
        },
        Mark::Warn,
        "no unit is installed",
        "`karoctl service install`",
    );
    check(|s| s.machine.units[1].found = None, Mark::Fail, "/h/karod.socket is gone", "service install");
    check(
        |s| s.machine.units[0].found = Some(b"ExecStart=/usr/bin/karod\n".to_vec()),
        Mark::Warn,
        "changed since",
        "--force",
    );
    check(
        |s| {
            s.machine.units[0].wanted.push_str("X=1\n");
            let found = s.machine.units[0].found.clone().expect("it has a file");
            s.machine.receipt.wrote(Path::new("/h/karod.service"), &found);
        },
        Mark::Warn,
        "of another karoctl",
        "renews",
    );
    check(|s| s.machine.units[0].manner.needs_reload = true, Mark::Warn, "not read since", "service restart");
    check(
        |s| s.machine.units[0].manner.enabled = "disabled".to_owned(),
        Mark::Warn,
        "karod.service does not start by itself",
        "service install",
    );
}

#[test]
fn a_daemon_of_before_an_upgrade_is_told() {
    let said = "of before the last upgrade";
    check(|s| s.is_replaced = true, Mark::Warn, said, "`karoctl service restart`");
    assert!(!is_replaced(std::process::id()) && !is_replaced(u32::MAX));
}

#[test]
fn the_program_of_the_unit_is_looked_at() {
    let at = |path: &str, version: Option<&str>| Some((path.into(), version.map(str::to_owned)));
    check(|s| s.program = at("/gone/karod", None), Mark::Fail, "/gone/karod, which cannot be run", "install");
    check(|s| s.program = at("/usr/bin/karod", Some("0.0.9")), Mark::Warn, "which is 0.0.9", "one release");
    check(|s| s.program = at("/o/karod", Some(KAROCTL)), Mark::Warn, "not /usr/bin/karod beside", "install");
    let with = |text: &str| program(&Unit { found: Some(text.into()), ..Unit::default() });
    assert_eq!(with("ExecStart=/a/karod --x\n"), Some("/a/karod".into()));
    assert_eq!(with("ExecStart=\"/a b/5%%$$/karod\"\n"), Some("/a b/5%$/karod".into()));
    assert_eq!(with("[Unit]\n"), None);
}

#[test]
fn what_was_given_up_is_named_with_its_log_and_its_mend() {
    check(
        |s| {
            s.answers = None;
            s.log = vec!["configuration: store.reserve_mib is 0".to_owned()];
            let manner = &mut s.machine.units[0].manner;
            manner.is_active = false;
            manner.is_failed = true;
            manner.result = "exit-code".to_owned();
            manner.exit = Some(78);
            let socket = &mut s.machine.units[1].manner;
            socket.is_active = false;
            socket.is_failed = true;
            socket.result = "service-start-limit-hit".to_owned();
        },
        Mark::Fail,
        "given up (exit-code, status 78: the configuration cannot be used: see `karoctl config check`); log: configuration: \
         store.reserve_mib is 0",
        "`karoctl service restart`",
    );
}

#[test]
fn what_does_not_run_as_it_should_is_told() {
    check(|s| s.answers = Some(9), Mark::Warn, "outside of karod.service, as process 9", "`kill 9`");
    let dead = |unit: &mut Unit| {
        unit.manner.is_active = false;
        unit.manner.pid = None;
    };
    check(|s| dead(&mut s.machine.units[1]), Mark::Warn, "its socket does not listen", "service restart");
    check(
        |s| {
            s.answers = None;
            s.machine.units.iter_mut().for_each(dead);
        },
        Mark::Fail,
        "karod.service is stopped",
        "`karoctl service start`",
    );
    let idle = ill(|s| {
        s.answers = None;
        dead(&mut s.machine.units[0]);
    });
    assert_eq!(idle, [], "a socket that listens starts it");
    check(
        |s| {
            s.machine.log = "/h/a b/karod.log".into();
            s.log_bytes = 33 << 20;
        },
        Mark::Warn,
        "/h/a b/karod.log has grown to 33.0 MiB",
        "`: >'/h/a b/karod.log'`",
    );
    check(|s| s.has_journal = false, Mark::Warn, "nobody keeps what karod logs", "systemd-journald");
}

#[test]
fn the_daemon_that_root_runs_is_no_stray() {
    let served = |s: &mut Serviced| {
        s.machine.served = Some("ann".to_owned());
        s.answers = Some(9);
    };
    check(served, Mark::Warn, "and karod.service is there besides", "`karoctl service uninstall`");
    let alone = ill(|s| {
        served(s);
        s.machine.units.iter_mut().for_each(|unit| unit.manner = Manner::default());
    });
    assert_eq!(alone, []);
}

#[test]
fn a_sandbox_that_cannot_be_made_is_named() {
    check(
        |s| {
            s.answers = None;
            let manner = &mut s.machine.units[0].manner;
            manner.is_active = false;
            manner.is_failed = true;
            manner.result = "exit-code".to_owned();
            manner.exit = Some(226);
        },
        Mark::Fail,
        "status 226: the sandbox of the unit cannot be made",
        "`karoctl service restart`",
    );
}

#[test]
fn places_that_only_the_unit_knows_are_named() {
    check(
        |s| {
            s.machine.places = [("KARO_DATA_DIR", "/h/.local/share/karo".into())].into();
            let manner = &mut s.machine.units[0].manner;
            manner.drop_ins = vec!["/h/x.conf".to_owned()];
            manner.environment = [("KARO_DATA_DIR".to_owned(), "/srv/a b".to_owned())].into();
        },
        Mark::Warn,
        "sets KARO_DATA_DIR otherwise than this shell",
        "`export 'KARO_DATA_DIR=/srv/a b'`",
    );
    let same = ill(|s| {
        s.machine.places = [("KARO_DATA_DIR", "/srv/ann".into())].into();
        let manner = &mut s.machine.units[0].manner;
        manner.drop_ins = vec!["/h/x.conf".to_owned()];
        manner.environment = [("KARO_DATA_DIR".to_owned(), "/srv/ann".to_owned())].into();
    });
    assert_eq!(same, []);
}
