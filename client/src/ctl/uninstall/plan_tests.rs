use super::*;
use crate::ctl::service::machine::{Keeper, Unit};
use crate::ctl::service::manner::Manner;
use crate::fake::{places_in, private_directory};

/// A machine that `karoctl setup` has been run on.
fn machine() -> Machine {
    let mut receipt = Receipt::default();
    receipt.made(Path::new("/h/.config"));
    receipt.made(Path::new("/h/.config/systemd"));
    let unit = |kind: &str| Unit {
        name: format!("karod.{kind}"),
        path: format!("/h/.config/systemd/user/karod.{kind}").into(),
        wanted: "[Unit]\n".to_owned(),
        found: Some(b"[Unit]\n".to_vec()),
        manner: Manner { is_loaded: true, ..Manner::default() },
        ..Unit::default()
    };
    for kind in ["service", "socket"] {
        receipt.wrote(format!("/h/.config/systemd/user/karod.{kind}").as_ref(), b"[Unit]\n");
    }
    Machine {
        keeper: Keeper::Systemd,
        uid: 7,
        karod: "/h/.local/bin/karod".into(),
        has_karod: true,
        units: vec![unit("service"), unit("socket")],
        lingers: Some(false),
        receipt,
        receipt_path: "/h/.local/share/karo/receipt.json".into(),
        ..Machine::default()
    }
}

/// Two records, what a shell keeps beside them, and a file of somebody else.
fn spooled() -> Vec<String> {
    let id = format!("{:032x}", 7);
    [format!(".{id}.text"), format!("{id}.1.e"), format!("{id}.2.e"), "thesis.tex".to_owned()].into()
}

fn traces() -> Traces {
    Traces {
        rc_files: vec![
            RcFile { file: "/h/.bashrc".into(), hindrance: None },
            RcFile { file: "/h/.zshrc".into(), hindrance: Some("/h/.zshrc is half".to_owned()) },
        ],
        spools: vec![SpoolLeft { path: "/run/user/7/karo/spool".into(), names: spooled() }],
        sockets: vec!["/run/user/7/karo/karod.sock".into()],
        data: Some("/h/.local/share/karo".into()),
        kept: ["identity.key", "log", "notes", "reports"].map(str::to_owned).into(),
        config: Some("/h/.config/karo/config.toml".into()),
        logs: Vec::new(),
        own: vec!["/run/user/7/karo".into()],
    }
}

fn lines(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.line(false)).collect()
}

#[test]
fn what_was_set_up_is_taken_away_and_data_stays() {
    let expected = [
        "take the hook out of /h/.bashrc",
        "/h/.zshrc is half",
        "run systemctl --user disable --now karod.socket karod.service",
        "remove /h/.config/systemd/user/karod.service",
        "remove /h/.config/systemd/user/karod.socket",
        "run systemctl --user daemon-reload",
        "remove what shells keep beside their records in /run/user/7/karo/spool",
        "2 records that no daemon has taken in stay in /run/user/7/karo/spool; --purge removes them too",
        "remove /run/user/7/karo/karod.sock",
        "remove /run/user/7/karo",
        "remove /h/.config/systemd",
        "remove /h/.config",
    ];
    assert_eq!(lines(&plan(&machine(), &traces(), false)), expected);
}

#[test]
fn a_purge_forgets_the_data_after_the_daemon_is_gone() {
    let lines = lines(&plan(&Machine { stray: Some(9), ..machine() }, &traces(), true));
    let place = |line: &str| {
        lines.iter().position(|have| have == line).unwrap_or_else(|| panic!("{line} is not in {lines:#?}"))
    };
    let ended = place("end karod, process 9");
    assert!(ended < place("remove records that wait in /run/user/7/karo/spool"));
    assert!(ended < place("remove /h/.config/karo/config.toml"));
    assert!(ended < place("remove log, views and keys in /h/.local/share/karo"));
}

#[test]
fn what_somebody_else_runs_keeps_its_socket_until_a_purge() {
    let mut machine = machine();
    machine.receipt = Receipt::default();
    machine.units.iter_mut().for_each(|unit| unit.manner.is_active = true);
    let lines = lines(&plan(&machine, &traces(), false));
    assert_eq!(lines[0], "take the hook out of /h/.bashrc");
    assert!(!lines.iter().any(|line| line.starts_with("run ") || line.contains("remove /run")), "{lines:#?}");
    let purged = super::plan(&machine, &traces(), true);
    let purged: Vec<String> = purged.steps.iter().map(|step| step.line(false)).collect();
    assert!(purged.contains(&"run systemctl --user disable --now karod.socket karod.service".to_owned()));
    assert!(purged.contains(&"remove /run/user/7/karo/karod.sock".to_owned()), "{purged:#?}");
}

#[test]
fn what_goes_is_named_beforehand() {
    let text = plan(&machine(), &traces(), true).text();
    let id = format!("{:032x}", 7);
    for expected in [
        format!("/run/user/7/karo/spool, and the directory if nothing else is in it:\n    .{id}.text\n    {id}.1.e\n"),
        "/h/.local/share/karo, and the directory if nothing else is in it:\n    identity.key\n    log\n    reports\n"
            .to_owned(),
    ] {
        assert!(text.contains(&expected), "{expected} is not in\n{text}");
    }
    assert!(!text.contains("thesis.tex") && !text.contains("notes"), "{text}");
    let text = plan(&machine(), &traces(), false).text();
    assert!(text.contains(&format!("    .{id}.text\n")) && !text.contains(".1.e"), "{text}");
}

#[test]
fn what_lies_about_is_found() {
    let directory = private_directory();
    let places = places_in(&directory);
    fs::create_dir_all(&places.hook_spool).expect("there is room");
    fs::write(places.hook_spool.join(format!("{:032x}.1.e", 7)), "").expect("there is room");
    fs::write(places.hook_spool.join("other"), "").expect("there is room");
    let rc = directory.path().join("rc");
    shell::put_lines(&rc, "hook\n").expect("there is room");
    let mut receipt = Receipt::default();
    receipt.hooked("bash", &rc);
    let traces = Traces::look(&places, &receipt);
    assert!(traces.rc_files.contains(&RcFile { file: rc, hindrance: None }));
    assert_eq!(traces.spools[0].waiting(), 1);
    assert_eq!((traces.spools.len(), &traces.spools[0].path), (1, &places.hook_spool));
    assert_eq!((&traces.data, &traces.config), (&None, &None));
    assert!(traces.sockets.is_empty());
}

#[test]
fn only_directories_of_karos_name_are_its_own() {
    let directory = private_directory();
    let at = |name: &str| directory.path().join(name);
    for path in ["state/karo/spool", "state/karo/run", "run/karo/spool", "elsewhere"] {
        fs::create_dir_all(at(path)).expect("there is room");
    }
    let places = Places {
        socket: at("run/karo/karod.sock"),
        other_sockets: vec![at("state/karo/run/karod.sock")],
        hook_spool: at("elsewhere/spool"),
        client_spool: at("state/karo/spool"),
        ..places_in(&directory)
    };
    assert_eq!(own(&places), [at("state/karo/run"), at("run/karo"), at("state/karo")]);
}

#[test]
fn what_root_runs_keeps_its_spools_and_its_socket() {
    let machine = Machine { served: Some("ann".to_owned()), ..machine() };
    let lines = lines(&plan(&machine, &traces(), false));
    assert_eq!(lines[0], "take the hook out of /h/.bashrc");
    assert!(!lines.iter().any(|line| line.contains("/run/user/7")), "{lines:#?}");
}
