//! The system's template: for people on a server who have no session that lasts.

use karo_tests::machine::Machine;
use karo_tests::{Typist, until};

use super::units::lost_with_its_shell;
use super::{keep, texts};

const SOCKET: &str = "/run/karo/bob/karod.sock";

#[test]
fn root_a_template_serves_whoever_has_no_session() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_guest("bob");
    machine.add_guest("eve");
    machine.root("systemctl enable --now karod@bob.socket").ok();
    assert_eq!(
        machine.root("stat -c '%a %U' /run/karo/bob /run/karo/bob/karod.sock").ok(),
        "755 root\n600 bob"
    );
    let observe = |n: u32| {
        format!(
            "KARO_CWD=/ KARO_COMMAND='echo {n}' karo-observe end --shell bash --seq {n} \
             --shell-id 000102030405060708090a0b0c0d0e0f --started-us 176722560000000{n} --duration-us 10 --exit 0"
        )
    };
    // No session, so no /run/user: the clients find it all the same, and it starts.
    machine.as_user("bob", &format!("test ! -e $XDG_RUNTIME_DIR && {}", observe(1))).ok();
    machine.until_property(None, "karod@bob.service", "ActiveState", "active");
    until("it is recorded", || (texts(&machine, "bob", SOCKET) == ["echo 1"]).then_some(()));
    assert!(machine.as_user("bob", "karoctl query --json").ok().contains("echo 1"));

    // With a session there is one, and they still find the same daemon, which stays when the session goes.
    let login = machine.log_in("bob");
    machine.as_user("bob", &format!("test -e $XDG_RUNTIME_DIR && {}", observe(2))).ok();
    until("it is recorded", || (texts(&machine, "bob", SOCKET) == ["echo 1", "echo 2"]).then_some(()));
    let baked = machine.as_user("bob", "karoctl shell init bash").ok();
    assert!(baked.contains(SOCKET), "{baked}");
    assert!(!baked.contains("/run/user/"), "a spool there would go with the session: {baked}");
    login.log_out();
    keep(&mut machine.session("bob", SOCKET), [Typist::new(1).ran("echo after", 0)]);
    lost_with_its_shell(&machine, "bob", SOCKET);

    // It is nobody else's, and says so.
    let refused = machine.as_user("eve", &format!("KARO_SOCKET={SOCKET} karoctl status"));
    assert_ne!(refused.code, 0, "{refused:?}");
}

#[test]
fn root_a_template_that_ends_takes_nothing_of_its_user_away() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_guest("bob");
    // Shared memory of a program of bob's own, in both kinds: a process that a manager ends has no right to it.
    machine.as_user("bob", "ipcmk --shmem 4096 && ipcmk --queue && echo bob >/dev/shm/bob").ok();
    let shared = "ipcs --shmems | grep -c bob; ipcs --queues | grep -c bob; cat /dev/shm/bob";
    machine.root("systemctl start karod@bob").ok();
    assert_eq!(machine.as_user("bob", shared).stdout, "1\n1\nbob\n");
    machine.root("systemctl stop karod@bob.socket karod@bob.service").ok();
    assert_eq!(machine.as_user("bob", shared).stdout, "1\n1\nbob\n");
}
