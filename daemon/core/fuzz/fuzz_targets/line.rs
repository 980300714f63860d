//! Any bytes as a line that was typed.
#![no_main]

#[path = "../../tests/reading/mod.rs"]
mod reading;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reading::line(bytes));
