//! Work that can wait: its thread lets everything else on the machine go first.

/// Nice value of background work: what a person waits for has five to ten times its share.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// Lets this thread, and no other, step back behind all others of the machine, for good.
///
/// Linux has a nice value for each thread, and takes the class of its reading and writing from it: best effort, second
/// to last. Elsewhere the value is the process's, which also answers prompts, so nothing is done.
pub fn step_back() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{getpriority_process, setpriority_process};
        // A daemon that is further behind already stays there.
        let is_ahead = getpriority_process(None).is_ok_and(|nice| nice < NICE);
        if is_ahead && let Err(error) = setpriority_process(None, NICE) {
            tracing::debug!(%error, "background work is not behind other work");
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
        let behind = std::thread::spawn(|| {
            step_back();
            getpriority_process(None).expect("that thread has one too")
        });
        assert_eq!(behind.join().expect("it does not panic"), NICE.max(before));
        assert_eq!(getpriority_process(None).expect("this thread has a nice value"), before);
    }
}
