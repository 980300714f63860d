//! Any bytes as a line with secrets in it.
#![no_main]

#[path = "../../tests/cutting/mod.rs"]
mod cutting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cutting::secrets(bytes));
