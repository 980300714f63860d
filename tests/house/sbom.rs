//! `sbom TARGET`: prints the bill of what the programs are made of for that platform. `./release.sh` calls it.

mod bill;

use std::io::Write as _;

use karo_tests::binaries::checkout;

fn main() -> std::io::Result<()> {
    let target = std::env::args().nth(1).expect("usage: sbom TARGET");
    let trees: Vec<String> =
        ["karo-daemon", "karo-client"].map(|package| bill::tree(package, &target)).into();
    let lock = std::fs::read_to_string(checkout().join("Cargo.lock"))?;
    let bill = bill::bill(env!("CARGO_PKG_VERSION"), &trees, &lock);
    let text = serde_json::to_string_pretty(&bill).expect("it is JSON");
    writeln!(std::io::stdout(), "{text}")
}
