//! Work that can wait: its thread lets everything else on the machine go first.

use std::sync::mpsc;
use std::time::Duration;

use actix::Arbiter;

/// Nice value of background work: what a person waits for has five to ten times its share.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// What such a thread is called, in at most 15 bytes: the units look for it.
#[cfg(target_os = "linux")]
const NAME: &std::ffi::CStr = c"karo-background";

/// How long the start waits for a new thread to have its name; it takes microseconds, and nothing is lost without.
const PATIENCE: Duration = Duration::from_secs(1);

/// Returns a new thread for work that can wait, when it has stepped back: what runs on it runs behind.
pub fn arbiter() -> Arbiter {
    let arbiter = Arbiter::new();
    let (stepped, has_stepped) = mpsc::sync_channel(1);
    let stepping = arbiter.spawn_fn(move || {
        step_back();
        if stepped.send(()).is_err() {
            tracing::debug!("a thread of background work was slow to step back");
        }
    });
    // An error means that the patience is over; the thread steps back when it comes to it, and says so.
    let _has_stepped = stepping && has_stepped.recv_timeout(PATIENCE).is_ok();
    arbiter
}

/// Lets this thread, and no other, step back behind all others of the machine, for good.
///
/// Linux has a nice value for each thread. Under our units nobody may change any, so the thread also says by its name
/// what it is, and the unit gives those of that name the value and the class of I/O that is served when nobody else
/// wants to read or write. Elsewhere the value is the process's, which also answers prompts, so nothing is done.
fn step_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        if let Err(error) = rustix::thread::set_name(NAME) {
            tracing::debug!(%error, "a thread of background work has no name");
        }
        // A daemon that is further behind already stays there.
        let is_ahead = getpriority_process(None).is_ok_and(|nice| nice < NICE);
        if is_ahead && let Err(error) = setpriority_process(None, NICE) {
            tracing::debug!(%error, "background work is put behind other work by the unit, or not at all");
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::getpriority_process;

    #[test]
    fn only_the_own_thread_steps_back() {
        let before = getpriority_process(None).expect("this thread has a nice value");
        let of_thread = || {
            let name = std::fs::read_to_string("/proc/thread-self/comm").expect("the kernel tells");
            (name, getpriority_process(None).expect("a thread has a nice value"))
        };
        let own = of_thread();
        let behind = std::thread::spawn(move || {
            step_back();
            of_thread()
        });
        let behind = behind.join().expect("it does not panic");
        assert_eq!(behind, ("karo-background\n".to_owned(), NICE.max(before)));
        assert_eq!(of_thread(), own);
    }

    #[test]
    fn a_thread_is_given_when_it_has_stepped_back() {
        let runner = actix::System::new();
        let names = || {
            let tasks = std::fs::read_dir("/proc/self/task").expect("the kernel tells").flatten();
            let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
            names.filter(|name| name == "karo-background\n").count()
        };
        let arbiter = runner.block_on(async { arbiter() });
        assert!(names() >= 1);
        assert!(arbiter.stop());
        arbiter.join().expect("it ends");
    }
}
