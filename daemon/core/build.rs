//! Compiles Karo's own rules in: writes a table of `src/risk/pack/NAME/{rule.yml,match.txt,miss.txt}`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let pack = Path::new("src/risk/pack");
    println!("cargo::rerun-if-changed={}", pack.display());
    let mut rules: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(pack)? {
        let entry = entry?.path();
        if entry.is_dir() {
            rules.push(fs::canonicalize(entry)?);
        }
    }
    rules.sort();
    let mut table = String::from("static PACK: &[Packed] = &[\n");
    for rule in rules {
        let name = rule.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let [text, matches, misses] = ["rule.yml", "match.txt", "miss.txt"].map(|file| rule.join(file));
        writeln!(
            table,
            "    Packed {{ path: \"built-in/{name}\", text: include_str!({text:?}), \
             #[cfg(test)] lines: (include_str!({matches:?}), include_str!({misses:?})) }},"
        )
        .map_err(io::Error::other)?;
    }
    table.push_str("];\n");
    let out = env::var_os("OUT_DIR").ok_or_else(|| io::Error::other("cargo says where to write"))?;
    fs::write(Path::new(&out).join("pack.rs"), table)
}
