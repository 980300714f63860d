//! Any bytes as a spool record, and back.
#![no_main]

#[path = "../../tests/reading/mod.rs"]
#[allow(dead_code, reason = "the other targets read other things")]
mod reading;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| reading::record(bytes));
