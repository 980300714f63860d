use std::path::PathBuf;

use karo_protocol::local::{Failure, FailureCode};
use karo_protocol::mesh::Passphrase;
use karo_protocol::{Fingerprint, NodeId};

use super::*;
use crate::ctl::samples::{ago, scene};
use crate::fake::{FakeDaemon, private_directory};

#[test]
fn an_identity_is_shown_for_people_and_for_scripts() {
    let expected = "\
node id     karo:ed25519:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc
fingerprint 0102-0304-0506-0708
made        2026-11-02 11:00:00 CET
rotated     2026-11-02 11:59:00 CET
key         /home/ada/.local/share/karo/identity.key
listening   nowhere: there are no peers
";
    assert_eq!(ask(false, &IdentityCommand::Show, Request::Identity(())), expected);
    let json = ask(true, &IdentityCommand::Rotate, Request::IdentityRotate(()));
    let expected = json!({
        "node_id": "karo:ed25519:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc",
        "fingerprint": "0102-0304-0506-0708",
        "created_at": "2026-11-02T10:00:00.000Z",
        "rotated_at": "2026-11-02T10:59:00.000Z",
        "path": "/home/ada/.local/share/karo/identity.key",
        "listening": [],
        "silent_because": "there are no peers",
    });
    assert_eq!(json, format!("{expected}\n"));
}

#[test]
fn a_backup_is_asked_for_twice_and_is_its_owners() {
    let directory = private_directory();
    let file = directory.path().join("key.backup");
    let daemon = FakeDaemon::serve(|session| {
        let (id, request) = session.request();
        let passphrase = Passphrase("correct horse".to_owned());
        assert_eq!(request, Request::IdentityBackup(IdentityBackup { passphrase }));
        session.reply(id, &Reply::IdentityBackup(Bytes::from("sealed")));
    });
    let (mut scene, written) = scene(&daemon);
    scene.secret = |_| Ok("correct horse".to_owned());
    assert_eq!(run(&mut scene, &backup_to(file.clone(), false)), Ok(Exit::Done));
    assert!(written.text().contains("key.backup holds the key"), "{}", written.text());
    assert_eq!(std::fs::read(&file).expect("it was written"), b"sealed");
    // The second one asks neither the person nor the daemon.
    scene.secret = |_| panic!("the file is there already");
    assert_eq!(run(&mut scene, &backup_to(file, false)).map_err(|trouble| trouble.exit), Err(Exit::Refused));
}

#[test]
fn what_the_daemon_refuses_is_said_in_its_words() {
    let directory = private_directory();
    let file = directory.path().join("key.backup");
    std::fs::write(&file, "sealed").expect("there is room");
    let daemon = FakeDaemon::serve(|session| {
        let (id, request) = session.request();
        let passphrase = Passphrase("wrong".to_owned());
        let restore = IdentityRestore { backup: Bytes::from("sealed"), passphrase, replace: true };
        assert_eq!(request, Request::IdentityRestore(restore));
        let message = "the passphrase is not the one of this backup; try another".to_owned();
        session.reply(id, &Reply::Failure(Failure { code: FailureCode::Refused, message }));
    });
    let (mut scene, _) = scene(&daemon);
    scene.secret = |question| {
        assert_eq!(question, "Passphrase: ");
        Ok("wrong".to_owned())
    };
    let restore = IdentityCommand::Restore { file, replace: true, passphrase: PassphraseArgs::default() };
    let refusal = Trouble::refused("the passphrase is not the one of this backup; try another");
    assert_eq!(run(&mut scene, &restore), Err(refusal));
}

fn backup_to(file: PathBuf, force: bool) -> IdentityCommand {
    IdentityCommand::Backup { file, force, passphrase: PassphraseArgs::default() }
}

fn ask(is_json: bool, command: &IdentityCommand, expected: Request) -> String {
    let daemon = FakeDaemon::serve(move |session| {
        let (id, request) = session.request();
        assert_eq!(request, expected);
        let identity = IdentityShown {
            node_id: NodeId([7; 32]),
            fingerprint: Fingerprint([1, 2, 3, 4, 5, 6, 7, 8]),
            created_at: ago(3600),
            path: "/home/ada/.local/share/karo/identity.key".to_owned(),
            rotated_at: Some(ago(60)),
            listening: Vec::new(),
            silent_because: Some("there are no peers".to_owned()),
        };
        session.reply(id, &Reply::Identity(Box::new(identity)));
    });
    let (mut scene, written) = scene(&daemon);
    scene.is_json = is_json;
    assert_eq!(run(&mut scene, command), Ok(Exit::Done));
    written.text()
}
