//! Rule files, from paths to what the daemon is asked: a directory stands for all rules below it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use karo_protocol::Bytes;
use karo_protocol::limits::RULE_FILE_BYTES_MAX;
use karo_protocol::local::RuleFile;

use crate::ctl::exit::Trouble;
use crate::ctl::whole_file::{self, TEXT_BYTES_MAX};

/// Files that are looked at in one go: all of SigmaHQ has a third of it.
const FILES_MAX: usize = 10_000;

/// Directories within one another that are looked into.
const DEPTH_MAX: usize = 16;

/// Reads the files, and those below the directories, in the order of their names.
///
/// # Errors
///
/// When one cannot be read, is too long, or there are too many.
pub fn read(paths: &[PathBuf]) -> Result<Vec<RuleFile>, Trouble> {
    let mut found: Vec<(PathBuf, Read)> = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => find(path, DEPTH_MAX, &mut found)?,
            false => found.push((path.clone(), whole_file::named)),
        }
    }
    if found.len() > FILES_MAX {
        return Err(Trouble::refused(format!("more than {FILES_MAX} rule files; name fewer at once")));
    }
    found.iter().map(|(path, read)| read_by(path, *read)).collect()
}

/// How a file is read: as one that was named, or as one that was found.
type Read = fn(&Path, u64) -> io::Result<Vec<u8>>;

/// Reads one rule file that a person named.
///
/// # Errors
///
/// When it cannot be read, or is too long.
pub fn read_one(path: &Path) -> Result<RuleFile, Trouble> {
    read_by(path, whole_file::named)
}

fn read_by(path: &Path, read: Read) -> Result<RuleFile, Trouble> {
    let text = read(path, TEXT_BYTES_MAX).map_err(|error| Trouble::file("read", path, &error))?;
    if text.len() > RULE_FILE_BYTES_MAX {
        let kib = RULE_FILE_BYTES_MAX / 1024;
        return Err(Trouble::refused(format!("{} is longer than {kib} KiB; split it", path.display())));
    }
    Ok(RuleFile { name: path.display().to_string(), text: Bytes(text) })
}

fn find(directory: &Path, depth: usize, found: &mut Vec<(PathBuf, Read)>) -> Result<(), Trouble> {
    let failed = |error: std::io::Error| Trouble::file("list", directory, &error);
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        // A link to a directory may lead around in a circle, so only what lies here is looked into.
        if path.is_dir() && !path.is_symlink() {
            if depth > 0 {
                find(&path, depth - 1, found)?;
            }
        } else if is_rule_file(&path) {
            found.push((path, whole_file::found));
        }
        if found.len() > FILES_MAX {
            return Ok(());
        }
    }
    Ok(())
}

fn is_rule_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn directories_stand_for_the_rules_below_them() {
        let top = private_directory();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("b/c")).expect("there is room");
        for name in ["z.yml", "a.yaml", "b/c/d.yml", "b/notes.txt"] {
            fs::write(at(name), name).expect("there is room");
        }
        std::os::unix::fs::symlink(top.path(), at("b/loop")).expect("there is room");
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let files = read(paths).expect("all can be read");
            files.iter().map(|file| String::from_utf8_lossy(&file.text).into_owned()).collect()
        };
        assert_eq!(names(&[top.path().to_owned()]), ["a.yaml", "b/c/d.yml", "z.yml"]);
        assert_eq!(names(&[at("b/notes.txt"), at("b")]), ["b/notes.txt", "b/c/d.yml"]);
        assert!(read(&[at("none.yml")]).is_err());
        whole_file::tests::pipe(&at("b/c/pipe.yml"));
        let refusal = read(&[at("b")]).expect_err("nobody writes into it").message;
        assert!(refusal.ends_with("pipe.yml: it is a pipe, not a file"), "{refusal}");
    }
}
