//! Steps over bytes, counted in tests: the finders look at text through these only.

use memchr::memmem;

/// Returns the end of the run of bytes from `from` on for which `is` holds.
pub(super) fn forward(text: &[u8], from: usize, is: impl Fn(u8) -> bool) -> usize {
    forward_at_most(text, from, usize::MAX, is)
}

/// As [`forward`], but goes `length_max` bytes at the most.
pub(super) fn forward_at_most(text: &[u8], from: usize, length_max: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    let length = rest.iter().take(length_max).take_while(|byte| is(**byte)).count();
    step(length + 1);
    from + length
}

/// Returns the start of the run of bytes that ends before `to`, `length_max` bytes long at the most.
pub(super) fn backward(text: &[u8], to: usize, length_max: usize, is: impl Fn(u8) -> bool) -> usize {
    let length = text[..to].iter().rev().take(length_max).take_while(|byte| is(**byte)).count();
    step(length + 1);
    to - length
}

/// Returns where `needle` begins, from `from` on.
pub(super) fn position(text: &[u8], from: usize, needle: &[u8]) -> Option<usize> {
    let rest = text.get(from..)?;
    let found = memmem::find(rest, needle);
    step(found.unwrap_or(rest.len()) + 1);
    found.map(|at| from + at)
}

/// Tells whether a name such as `Authorization` stands at `at`, in any case.
pub(super) fn is_at(text: &[u8], at: usize, name: &[u8]) -> bool {
    text.get(at..at + name.len()).is_some_and(|found| found.eq_ignore_ascii_case(name))
}

/// Tells whether the byte before `at` is a letter or digit, so that no word begins at `at`.
pub(super) fn is_inside_word(text: &[u8], at: usize) -> bool {
    at > 0 && text[at - 1].is_ascii_alphanumeric()
}

#[cfg(not(test))]
pub(super) fn step(_: usize) {}

#[cfg(test)]
pub(super) use counted::{step, steps_of};

#[cfg(test)]
mod counted {
    use std::cell::Cell;

    thread_local! {
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(in super::super) fn step(count: usize) {
        STEPS.set(STEPS.get() + count);
    }

    /// Returns the number of bytes that `work` looked at.
    pub(in super::super) fn steps_of(work: impl FnOnce()) -> usize {
        STEPS.set(0);
        work();
        STEPS.get()
    }
}
