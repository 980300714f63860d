//! A daemon that nobody needs: it sleeps.

use std::collections::BTreeMap;
use std::time::Duration;

use karo_tests::Typist;
use karo_tests::machine::Machine;

use super::{SOCKET, keep};

/// Wake-ups of all threads in a minute, at the most: the documented timers make six (docs/karod.md), and whatever is
/// due every second makes sixty.
const WAKE_UPS_MAX: u64 = 20;

/// Minutes that are looked at: the upkeep after a start and after a change falls into the first two.
const MINUTES_MAX: usize = 4;

#[test]
fn root_an_idle_daemon_sleeps_but_for_its_timers() {
    let Some(machine) = Machine::boot() else { return };
    machine.add_user("ann");
    // The watchdog's rounds, 125 wake-ups a minute, would hide the rest.
    machine.write("/etc/systemd/user/karod.service.d/quiet.conf", "[Service]\nWatchdogSec=0\n");
    machine.as_user("ann", "systemctl --user daemon-reload && systemctl --user start karod.socket").ok();
    keep(&mut machine.session("ann", SOCKET), [Typist::new(1).ran("echo first", 0)]);
    let pid = machine.property(Some("ann"), "karod.service", "MainPID");
    let mut seen = Vec::new();
    for _ in 0..MINUTES_MAX {
        let before = wake_ups(&machine, &pid);
        // Not to wait for something: that nothing happens meanwhile is what is looked at.
        std::thread::sleep(Duration::from_secs(60));
        let mut woken = wake_ups(&machine, &pid);
        woken.iter_mut().for_each(|(thread, count)| *count -= before.get(thread).unwrap_or(&0));
        woken.retain(|_, count| *count > 0);
        if woken.values().sum::<u64>() <= WAKE_UPS_MAX {
            eprintln!("wake-ups in a minute: {woken:?}");
            return;
        }
        seen.push(woken);
    }
    panic!("more than {WAKE_UPS_MAX} wake-ups in each minute: {seen:#?}");
}

/// Returns how often each thread has given up the processor by itself so far.
fn wake_ups(machine: &Machine, pid: &str) -> BTreeMap<String, u64> {
    let script = format!(
        "for task in /proc/{pid}/task/*; do \
         echo \"${{task##*/}} $(<$task/comm) $(awk '/^voluntary/ {{ print $2 }}' $task/status)\"; done"
    );
    let threads = machine.root(&script).ok();
    let parts = threads.lines().filter_map(|line| line.rsplit_once(' '));
    parts.map(|(thread, count)| (thread.to_owned(), count.parse().expect("it is a count"))).collect()
}
