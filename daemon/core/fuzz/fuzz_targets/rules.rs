//! Any bytes as a line and a file of rules.
#![no_main]

#[path = "../../tests/ruling/mod.rs"]
mod ruling;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ruling::rules(bytes));
