//! Hostile layouts of the places: each is a named error or a safe recovery.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use karo_tests::{Karo, Typist, until};
use rustix::fs::{CWD, FileType, Mode, mknodat};

/// A karod that ends at its start: with that code, and words that name the place and the mend.
fn check_refused(row: &str, lay: impl FnOnce(&mut Karo), code: i32, words: &[&str]) {
    let mut karo = Karo::new();
    lay(&mut karo);
    let command = karo.daemon_command();
    karo.spawn(command);
    let status = karo.wait_for_end();
    let log = karo.log();
    assert_eq!(status.code(), Some(code), "{row}: {log}");
    for word in words {
        assert!(log.contains(word), "{row}: no {word:?} in {log}");
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
}

fn replace_by_link(path: &Path, aside: &Path) {
    fs::rename(path, aside).expect("it is ours");
    symlink(aside, path).expect("the place is free");
}

fn make_fifo(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("the place is free");
}

#[test]
fn a_linked_directory_is_refused() {
    for place in [Karo::run, Karo::spool] {
        let lay = |karo: &mut Karo| replace_by_link(&place(karo), &karo.root().join("aside"));
        check_refused("symlink", lay, 1, &["symbolic link"]);
    }
}

#[test]
fn a_directory_that_others_can_write_is_refused() {
    for place in [Karo::run, Karo::spool, Karo::data] {
        for mode in [0o777, 0o720, 0o702] {
            let lay = |karo: &mut Karo| set_mode(&place(karo), mode);
            check_refused("mode", lay, 1, &[&format!("mode {mode:04o}"), "chmod"]);
        }
    }
}

#[test]
fn a_directory_below_one_that_others_can_write_is_refused() {
    for (name, variable) in [("run/karod.sock", "KARO_SOCKET"), ("spool", "KARO_SPOOL_DIR")] {
        let lay = |karo: &mut Karo| {
            let open = karo.root().join("open");
            DirBuilder::new().mode(0o700).create(&open).expect("the place is free");
            set_mode(&open, 0o777);
            karo.set(variable, open.join(name));
        };
        check_refused("parent", lay, 1, &["open can be written by others", "chmod"]);
    }
}

#[test]
fn a_file_in_place_of_a_directory_is_refused() {
    for place in [Karo::run, Karo::spool, Karo::data] {
        let lay = |karo: &mut Karo| {
            fs::remove_dir(place(karo)).expect("it is empty");
            fs::write(place(karo), "").expect("the place is free");
        };
        check_refused("file", lay, 1, &["not a directory"]);
        let lay = |karo: &mut Karo| {
            fs::remove_dir(place(karo)).expect("it is empty");
            make_fifo(&place(karo));
        };
        check_refused("fifo", lay, 1, &["not a directory"]);
    }
}

#[test]
fn what_is_no_socket_is_not_taken_away() {
    let check = |row: &str, make: fn(&Path)| {
        check_refused(row, |karo| make(&karo.socket()), 1, &["is not a socket", "karod.sock"]);
    };
    check("file", |path| fs::write(path, "precious").expect("the place is free"));
    check("fifo", make_fifo);
    check("directory", |path| fs::create_dir(path).expect("the place is free"));
    let link = |karo: &mut Karo| symlink("/dev/null", karo.socket()).expect("the place is free");
    check_refused("link", link, 1, &["is not a socket"]);
}

#[test]
fn a_socket_path_that_does_not_fit_is_named() {
    let lay = |karo: &mut Karo| {
        let prefix = karo.root().join("s").into_os_string().into_string().expect("temporary names are UTF-8");
        karo.set("KARO_SOCKET", format!("{prefix}{}", "x".repeat(108 - prefix.len())));
    };
    check_refused("108 bytes", lay, 1, &["108 bytes", "107", "KARO_SOCKET"]);
}

#[test]
fn a_socket_path_of_107_bytes_fits() {
    let mut karo = Karo::new();
    let prefix = karo.run().join("s").into_os_string().into_string().expect("temporary names are UTF-8");
    karo.set("KARO_SOCKET", format!("{prefix}{}", "x".repeat(107 - prefix.len())));
    karo.launch();
    karo.keep([Typist::new(1).ran("true", 0)]);
    assert!(karo.ctl(&["status"]).status.success());
}

#[test]
fn a_relative_place_is_refused() {
    let lay = |karo: &mut Karo| karo.set("KARO_DATA_DIR", "data");
    check_refused("relative", lay, 1, &["KARO_DATA_DIR", "absolute"]);
}

#[test]
fn a_stale_socket_is_replaced() {
    let mut karo = Karo::new();
    drop(UnixListener::bind(karo.socket()).expect("the place is free"));
    karo.launch();
    let found = fs::symlink_metadata(karo.socket()).expect("it listens");
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    karo.kill();
    assert!(karo.socket().exists(), "a killed daemon cleans up nothing");
    karo.launch();
    karo.keep([Typist::new(1).ran("true", 0)]);
}

#[test]
fn a_second_daemon_is_refused_and_the_first_goes_on() {
    let first = Karo::running();
    // On the same data, with a socket of its own.
    let mut second = Karo::new();
    second.set("KARO_DATA_DIR", first.data());
    let command = second.daemon_command();
    second.spawn(command);
    assert_eq!(second.wait_for_end().code(), Some(3), "{}", second.log());
    assert!(second.log().contains("another karod"), "{}", second.log());
    // On the same socket, with data of its own.
    let mut third = Karo::new();
    third.set("KARO_SOCKET", first.socket());
    let command = third.daemon_command();
    third.spawn(command);
    let status = third.wait_for_end();
    assert!(matches!(status.code(), Some(1 | 3)), "{status}: {}", third.log());
    assert!(third.log().contains("another karod"), "{}", third.log());
    first.keep([Typist::new(1).ran("true", 0)]);
}

#[test]
fn what_is_no_record_in_the_spool_is_left_alone_and_named() {
    let mut karo = Karo::new();
    let mut shell = Typist::new(1);
    let id = shell.shell.id;
    let spool = karo.spool();
    let outside = karo.root().join("outside");
    fs::write(&outside, karo_protocol::spool::encode(&Typist::new(9).ran("from outside", 0)))
        .expect("it is ours");
    make_fifo(&spool.join(format!("{id}.100.e")));
    symlink(&outside, spool.join(format!("{id}.101.e"))).expect("the place is free");
    fs::create_dir(spool.join(format!("{id}.102.e"))).expect("the place is free");
    fs::write(spool.join(format!("{id}.103.e")), vec![b'x'; 4 << 20]).expect("there is room");
    fs::write(spool.join(format!("{id}.104.e")), b"karo 1\0shell=bash\0comm").expect("there is room");
    fs::write(spool.join(format!("{id}.105.e")), b"").expect("there is room");
    fs::write(spool.join("notes.txt"), b"mine").expect("there is room");
    karo.spool_record(&shell.ran("honest", 0));
    karo.launch();
    let honest = spool.join(format!("{id}.1.e"));
    until("the honest record is taken in", || (!honest.exists()).then_some(()));
    assert_eq!(until("it is found", || Some(karo.session().texts()).filter(|t| !t.is_empty())), ["honest"]);
    assert!(outside.exists(), "a link is not followed");
    assert!(spool.join("notes.txt").exists(), "what is not named as a record is nobody's business");
    assert!(karo.is_running());
    assert!(karo.stop().success());
}

#[test]
fn a_client_does_not_use_a_directory_of_others() {
    let karo = Karo::new();
    let listener = UnixListener::bind(karo.socket()).expect("the place is free");
    listener.set_nonblocking(true).expect("it is ours");
    set_mode(&karo.run(), 0o777);
    let output = karo
        .observe_command()
        .args(["end", "--shell", "bash", "--shell-id", &"5a".repeat(16), "--seq", "1"])
        .args(["--started-us", "1767225600000000", "--duration-us", "5", "--exit", "0"])
        .env("KARO_COMMAND", "echo private")
        .env("KARO_CWD", "/tmp")
        .output()
        .expect("karo-observe can be run");
    assert!(output.status.success() && output.stderr.is_empty());
    assert!(listener.accept().is_err(), "the client connected where anybody could have listened");
    assert_eq!(karo.spooled().len(), 1);
}
