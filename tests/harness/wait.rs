//! Waiting for a condition, never for a time.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far beyond what a loaded machine needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// How often a condition is looked at.
const STEP: Duration = Duration::from_millis(2);

/// Waits until the condition yields a value and returns it.
///
/// # Panics
///
/// When it yields none within [`PATIENCE`]; the message says what was waited for.
pub fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    within(PATIENCE, condition).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain until {what}"))
}

/// Waits until the condition yields a value, or the time is over.
pub fn within<T>(patience: Duration, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(STEP);
    }
}
