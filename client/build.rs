//! Links libgcc into the clients instead of loading it: `karo-observe` runs at each prompt, and each
//! library that is loaded costs it a tenth of its time.
//!
//! The compiler asks the linker for `libgcc_s`; a linker script of that name, found first, names the
//! static library that holds the same. Elsewhere than on GNU/Linux nothing is done.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return Ok(());
    }
    let out = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&out).join("libgcc_s.so"), "INPUT(-lgcc_eh)\n")?;
    println!("cargo::rustc-link-search=native={}", Path::new(&out).display());
    Ok(())
}
