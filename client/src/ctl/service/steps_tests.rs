use std::path::{Path, PathBuf};

use super::super::manner::Manner;
use super::super::receipt::Receipt;
use super::*;

/// A machine with systemd on which nothing of Karo is installed.
fn bare() -> Machine {
    let unit = |kind: &str| Unit {
        name: format!("karod.{kind}"),
        path: format!("/h/.config/systemd/user/karod.{kind}").into(),
        wanted: format!("[{kind}]\n"),
        ..Unit::default()
    };
    Machine {
        keeper: Keeper::Systemd,
        uid: 7,
        karod: "/h/.local/bin/karod".into(),
        has_karod: true,
        units: vec![unit("service"), unit("socket")],
        missing: vec!["/h/.local/share/karo".into(), "/h/.config/systemd/user".into()],
        lingers: Some(true),
        receipt_path: "/h/.local/share/karo/receipt.json".into(),
        ..Machine::default()
    }
}

fn running(name: &str) -> Manner {
    Manner {
        name: name.to_owned(),
        is_loaded: true,
        is_active: true,
        enabled: "enabled".to_owned(),
        ..Manner::default()
    }
}

/// The same machine after an installation.
fn installed() -> Machine {
    let mut machine = bare();
    machine.missing = Vec::new();
    for unit in &mut machine.units {
        unit.found = Some(unit.wanted.clone().into_bytes());
        unit.manner = running(&unit.name);
        machine.receipt.wrote(&unit.path, unit.wanted.as_bytes());
    }
    machine
}

/// The same machine with an agent of launchd.
fn mac() -> Machine {
    let mut machine = bare();
    machine.keeper = Keeper::Launchd;
    machine.lingers = None;
    let path: PathBuf = "/h/Library/LaunchAgents/org.karo.karod.plist".into();
    machine.units =
        vec![Unit { name: LABEL.to_owned(), path, wanted: "<plist/>\n".to_owned(), ..Unit::default() }];
    machine
}

/// Compares a plan, a line for each step.
#[track_caller]
fn check(plan: Result<Plan, Trouble>, expected: &[&str]) {
    let plan = plan.expect("there is a plan");
    let lines: Vec<String> = plan.steps.iter().map(|step| step.line(false)).collect();
    assert_eq!(lines, expected);
}

#[test]
fn a_bare_machine_gets_all_of_it() {
    check(
        install(&bare(), Wish::default()),
        &[
            "make /h/.local/share/karo",
            "make /h/.config/systemd/user",
            "write /h/.config/systemd/user/karod.service",
            "write /h/.config/systemd/user/karod.socket",
            "run systemctl --user daemon-reload",
            "run systemctl --user enable karod.service karod.socket",
            "run systemctl --user reset-failed karod.service karod.socket",
            "run systemctl --user start karod.socket karod.service",
        ],
    );
    let whole = install(&bare(), Wish::default()).expect("there is a plan").text();
    assert!(whole.contains("karod.service (0644):\n    [service]\n"), "{whole}");
}

#[test]
fn twice_is_once() {
    check(install(&installed(), Wish::default()), &[]);
    // The journal's catalog is root's.
    check(install(&Machine { lacks_catalog: true, ..installed() }, Wish::default()), &[]);
}

#[test]
fn what_is_missing_of_an_installation_is_made_good() {
    let mut machine = installed();
    machine.units[0].manner.enabled = "disabled".to_owned();
    check(install(&machine, Wish::default()), &["run systemctl --user enable karod.service"]);
    let mut machine = installed();
    machine.units[0].manner.is_active = false;
    machine.units[0].manner.is_failed = true;
    check(
        install(&machine, Wish::default()),
        &[
            "run systemctl --user reset-failed karod.service karod.socket",
            "run systemctl --user start karod.socket karod.service",
        ],
    );
    let mut machine = installed();
    machine.units[1].manner.is_active = false;
    check(
        install(&machine, Wish::default()),
        &["run systemctl --user stop karod.service", "run systemctl --user start karod.socket karod.service"],
    );
}

#[test]
fn a_unit_of_an_older_karoctl_is_renewed() {
    let mut machine = installed();
    machine.units[0].wanted = "[service]\nNew=1\n".to_owned();
    check(
        install(&machine, Wish::default()),
        &[
            "write /h/.config/systemd/user/karod.service",
            "run systemctl --user daemon-reload",
            "run systemctl --user stop karod.service karod.socket",
            "run systemctl --user reset-failed karod.service karod.socket",
            "run systemctl --user start karod.socket karod.service",
        ],
    );
}

#[test]
fn a_unit_of_somebody_else_is_not_overwritten() {
    let mut machine = bare();
    machine.units[0].found = Some(b"[service]\nMine=\x1b1\n".to_vec());
    let refusal = install(&machine, Wish::default()).expect_err("it is not ours");
    let expected = "not written by karoctl, or changed since; --force overwrites it. \
        /h/.config/systemd/user/karod.service (- is there, + would be written):\n  -2   Mine=\\x1b1";
    assert_eq!(refusal, Trouble::refused(expected));
    let forced = install(&machine, Wish { force: true, linger: false }).expect("it may");
    assert!(forced.text().contains("write /h/.config/systemd/user/karod.service"));
}

#[test]
fn a_unit_that_was_edited_is_not_overwritten() {
    let mut machine = installed();
    machine.units[0].found = Some(b"[service]\nMemoryMax=1G\n".to_vec());
    assert!(install(&machine, Wish::default()).is_err());
}

#[test]
fn units_of_a_package_are_used_as_they_are() {
    let mut machine = bare();
    for unit in &mut machine.units {
        unit.packaged =
            Some((format!("/usr/lib/systemd/user/{}", unit.name).into(), unit.wanted.clone().into()));
        unit.manner.is_loaded = true;
        unit.manner.enabled = "disabled".to_owned();
    }
    check(
        install(&machine, Wish::default()),
        &[
            "make /h/.local/share/karo",
            "make /h/.config/systemd/user",
            "run systemctl --user enable karod.service karod.socket",
            "run systemctl --user start karod.socket karod.service",
        ],
    );
    machine.units[0].wanted.push_str("Environment=KARO_DATA_DIR=/elsewhere\n");
    let plan = install(&machine, Wish::default()).expect("there is a plan");
    assert!(plan.text().contains("write /h/.config/systemd/user/karod.service"), "{}", plan.text());
    assert!(!plan.text().contains("write /h/.config/systemd/user/karod.socket"), "{}", plan.text());
}

#[test]
fn a_daemon_outside_of_the_unit_makes_room() {
    let machine = Machine { stray: Some(99), ..bare() };
    let plan = install(&machine, Wish::default()).expect("there is a plan");
    assert_eq!(plan.steps[0], Step::EndDaemon { pid: 99 });
    let refusal = start(&Machine { stray: Some(99), ..installed() }).expect_err("it is in the way");
    assert!(refusal.message.starts_with("karod runs outside of its unit, as process 99; "), "{refusal}");
}

#[test]
fn lingering_is_told_and_switched_on_only_when_asked_for() {
    let machine = Machine { lingers: Some(false), ..installed() };
    let plan = install(&machine, Wish::default()).expect("there is a plan");
    assert!(plan.is_idle() && plan.text().contains("`loginctl enable-linger`"), "{}", plan.text());
    check(install(&machine, Wish { force: false, linger: true }), &["run loginctl enable-linger"]);
    check(install(&installed(), Wish { force: false, linger: true }), &[]);
}

#[test]
fn without_a_service_manager_the_foreground_is_named() {
    let machine = Machine { keeper: Keeper::Nobody("nobody is here".to_owned()), ..bare() };
    let refusal = install(&machine, Wish::default()).expect_err("there is nobody to ask");
    assert!(
        refusal.message.starts_with("nobody is here; `karoctl service run` runs karod in the foreground")
    );
    let machine = Machine { has_karod: false, ..bare() };
    let refusal = install(&machine, Wish::default()).expect_err("there is nothing to run");
    assert_eq!(refusal.message, "/h/.local/bin/karod is not there: install karod beside karoctl");
}

/// The same machine, for an account of the system's template.
fn server(mut machine: Machine) -> Machine {
    machine.scope = Scope::System { account: "ann".to_owned() };
    machine.lingers = None;
    machine.receipt = Receipt::default();
    for (unit, kind) in machine.units.iter_mut().zip(["service", "socket"]) {
        unit.name = format!("karod@ann.{kind}");
        unit.path = format!("/etc/systemd/system/karod@.{kind}").into();
        if unit.found.is_some() {
            machine.receipt.wrote(&unit.path, unit.wanted.as_bytes());
        }
    }
    machine
}

#[test]
fn the_system_gets_a_template_and_the_catalog() {
    let mut machine = server(bare());
    machine.missing = vec!["/var/lib/karo".into()];
    machine.lacks_catalog = true;
    check(
        install(&machine, Wish::default()),
        &[
            "make /var/lib/karo",
            "write /etc/systemd/system/karod@.service",
            "write /etc/systemd/system/karod@.socket",
            "write /usr/local/lib/systemd/catalog/karod.catalog",
            "run journalctl --update-catalog",
            "run systemctl daemon-reload",
            "run systemctl enable karod@ann.service karod@ann.socket",
            "run systemctl reset-failed karod@ann.service karod@ann.socket",
            "run systemctl start karod@ann.socket karod@ann.service",
        ],
    );
}

#[test]
fn what_was_installed_is_taken_away() {
    check(
        Ok(uninstall(&installed())),
        &[
            "run systemctl --user disable --now karod.socket karod.service",
            "remove /h/.config/systemd/user/karod.service",
            "remove /h/.config/systemd/user/karod.socket",
            "run systemctl --user daemon-reload",
        ],
    );
    let mut machine = installed();
    machine.receipt.linger = true;
    let plan = uninstall(&machine);
    assert_eq!(plan.steps.last(), Some(&Step::try_run(&["loginctl", "disable-linger"])));
    assert!(uninstall(&bare()).is_idle());
}

#[test]
fn what_somebody_else_switched_on_stays_on() {
    let mut machine = installed();
    machine.receipt = Receipt::default();
    machine.units[1].found = None;
    machine.units[1].packaged = Some(("/usr/lib/systemd/user/karod.socket".into(), b"[socket]\n".to_vec()));
    check(
        Ok(uninstall(&machine)),
        &[
            "karod.service, karod.socket stays switched on: karoctl did not do that; \
             `systemctl --user disable --now karod.socket karod.service` ends it",
            "/h/.config/systemd/user/karod.service stays: karoctl did not write it; remove it by hand",
        ],
    );
    machine.receipt.enabled = vec!["karod.socket".to_owned()];
    let lines: Vec<String> = uninstall(&machine).steps.iter().map(|step| step.line(false)).collect();
    assert!(lines[0].starts_with("karod.service stays switched on: "), "{lines:#?}");
    assert_eq!(lines[1], "run systemctl --user disable --now karod.socket");
    check(
        Ok(purge(&machine)),
        &[
            "run systemctl --user disable --now karod.socket karod.service",
            "remove /h/.config/systemd/user/karod.service",
            "run systemctl --user daemon-reload",
        ],
    );
}

#[test]
fn what_was_edited_stays_and_is_named() {
    let mut machine = installed();
    machine.units[0].found = Some(b"mine".to_vec());
    machine.units[1].manner.drop_ins = vec!["/h/x.conf".to_owned()];
    let text = uninstall(&machine).text();
    assert!(!text.contains("remove /h/.config/systemd/user/karod.service"), "{text}");
    assert!(text.contains("karod.service stays: karoctl did not write it"), "{text}");
    assert!(text.contains("/h/x.conf stays: it is yours"), "{text}");
    assert!(text.contains("remove /h/.config/systemd/user/karod.socket"), "{text}");
}

#[test]
fn a_service_manager_that_is_gone_hinders_no_removal() {
    let mut machine = Machine { keeper: Keeper::Nobody("gone".to_owned()), ..installed() };
    machine.units.iter_mut().for_each(|unit| unit.manner = Manner::default());
    check(
        Ok(uninstall(&machine)),
        &["remove /h/.config/systemd/user/karod.service", "remove /h/.config/systemd/user/karod.socket"],
    );
}

#[test]
fn starting_and_stopping_name_both_units() {
    check(start(&installed()), &[]);
    let plan = stop(&installed()).expect("there is a plan");
    assert_eq!(plan.steps[0].line(false), "run systemctl --user stop karod.service karod.socket");
    let refusal = start(&bare()).expect_err("nothing is there");
    assert_eq!(refusal.message, "no unit of karod is installed; run `karoctl service install`");
}

#[test]
fn a_unit_that_was_given_up_is_started_anew() {
    let mut machine = installed();
    machine.units[0].manner.is_active = false;
    machine.units[0].manner.is_failed = true;
    check(
        restart(&machine),
        &[
            "run systemctl --user reset-failed karod.service karod.socket",
            "run systemctl --user restart karod.service",
        ],
    );
    machine.units[1].manner.is_active = false;
    check(
        restart(&machine),
        &[
            "run systemctl --user reset-failed karod.service karod.socket",
            "run systemctl --user start karod.socket karod.service",
        ],
    );
}

#[test]
fn launchd_is_asked_in_its_own_words() {
    let plist = "/h/Library/LaunchAgents/org.karo.karod.plist";
    check(
        install(&mac(), Wish::default()),
        &[
            "make /h/.local/share/karo",
            "make /h/.config/systemd/user",
            &format!("write {plist}"),
            "run launchctl enable gui/7/org.karo.karod",
            &format!("run launchctl bootstrap gui/7 {plist}"),
        ],
    );
    let mut machine = mac();
    machine.units[0].found = Some(machine.units[0].wanted.clone().into_bytes());
    machine.units[0].manner = running(LABEL);
    machine.receipt.wrote(plist.as_ref(), machine.units[0].wanted.as_bytes());
    check(install(&machine, Wish::default()), &[]);
    check(restart(&machine), &["run launchctl kickstart -k gui/7/org.karo.karod"]);
    check(
        Ok(uninstall(&machine)),
        &[
            "run launchctl bootout gui/7/org.karo.karod",
            "wait until nothing is shown by launchctl print gui/7/org.karo.karod",
            &format!("remove {plist}"),
        ],
    );
    let mut outdated = machine.clone();
    outdated.receipt.wrote(Path::new(plist), outdated.units[0].wanted.as_bytes());
    outdated.units[0].wanted = "<plist><dict/></plist>\n".to_owned();
    let plan = install(&outdated, Wish::default()).expect("there is a plan").text();
    let place = |line: &str| plan.find(line).unwrap_or_else(|| panic!("{line} is not in {plan}"));
    assert!(
        place("run launchctl bootout") < place("wait until nothing is shown by launchctl print"),
        "{plan}"
    );
    assert!(place("wait until") < place("run launchctl bootstrap gui/7"), "{plan}");
    let plan = stop(&machine).expect("there is a plan");
    assert_eq!(plan.steps[0].line(false), "run launchctl bootout gui/7/org.karo.karod");
}

#[test]
fn whom_roots_service_manager_serves_gets_no_units_beside_it() {
    let machine = Machine { served: Some("ann".to_owned()), ..bare() };
    let says = |planned: Result<Plan, Trouble>| planned.expect_err("root does it").message;
    let install = says(install(&machine, Wish::default()));
    let expected = "root's service manager runs karod for ann (karod@ann.service); to have units of your own instead, \
        root first takes that away: `karoctl service uninstall --system --for ann`";
    assert_eq!(install, expected);
    let nobody = Machine { keeper: Keeper::Nobody("no session".to_owned()), ..machine.clone() };
    assert!(says(super::install(&nobody, Wish::default())).starts_with("root's service manager"));
    for (planned, deed) in
        [(start(&machine), "start"), (stop(&machine), "stop"), (restart(&machine), "restart")]
    {
        let said = says(planned);
        assert!(
            said.ends_with(&format!("root does this: `karoctl service {deed} --system --for ann`")),
            "{said}"
        );
    }
    // Units of their own that were there before can be stopped and taken away.
    let both = Machine { served: Some("ann".to_owned()), ..installed() };
    assert!(stop(&both).is_ok());
    let text = uninstall(&both).text();
    assert!(text.contains("remove /h/.config/systemd/user/karod.service"), "{text}");
    assert!(text.contains("(karod@ann.service) and goes on with it"), "{text}");
}

#[test]
fn a_template_stays_for_the_accounts_that_still_have_an_instance() {
    let mut machine = server(installed());
    machine.receipt.wrote(Path::new(CATALOG), CATALOG_TEXT.as_bytes());
    let alone = uninstall(&machine).text();
    assert!(
        alone.contains("remove /etc/systemd/system/karod@.service") && alone.contains(CATALOG),
        "{alone}"
    );
    machine.sharers = ["bob", "eve"].map(str::to_owned).into();
    check(
        Ok(uninstall(&machine)),
        &[
            "run systemctl disable --now karod@ann.socket karod@ann.service",
            "the template and the catalog stay for bob, eve",
        ],
    );
}

#[test]
fn an_instance_that_would_not_find_its_home_is_refused() {
    let with = |home| install(&Machine { home: Some(home), ..server(bare()) }, Wish::default());
    assert!(with(Home::Told).is_ok());
    let said = with(Home::Nowhere).expect_err("it cannot run").message;
    assert_eq!(said, "there is no account ann on this machine");
    let said = with(Home::Elsewhere("/srv/ann".into())).expect_err("it would fail").message;
    assert!(
        said.starts_with("the home of ann is /srv/ann, and karod@.service looks in /home/ann; "),
        "{said}"
    );
}
