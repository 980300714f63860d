//! Where shells keep their history files.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::ctl::cli::HistoryFormat;

/// Returns the history files that are there, each with what it is.
pub fn found(variable: &dyn Fn(&str) -> Option<OsString>) -> Vec<(PathBuf, HistoryFormat)> {
    let directory = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let Some(home) = directory("HOME") else { return Vec::new() };
    let zsh = directory("ZDOTDIR").unwrap_or_else(|| home.clone());
    let shared = directory("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
    let candidates = [
        (home.join(".bash_history"), HistoryFormat::Bash),
        (zsh.join(".zsh_history"), HistoryFormat::Zsh),
        (zsh.join(".zhistory"), HistoryFormat::Zsh),
        (home.join(".zsh_history"), HistoryFormat::Zsh),
        (home.join(".histfile"), HistoryFormat::Zsh),
        (shared.join("fish/fish_history"), HistoryFormat::Fish),
        (home.join(".mksh_history"), HistoryFormat::Mksh),
        (home.join(".ksh_history"), HistoryFormat::Ksh),
        (home.join(".sh_history"), HistoryFormat::Ksh),
    ];
    let mut found: Vec<(PathBuf, HistoryFormat)> = Vec::new();
    for (path, format) in candidates {
        // Two names may lead to one file; its real name tells.
        let Ok(real) = path.canonicalize() else { continue };
        if real.is_file() && found.iter().all(|(known, _)| *known != real) {
            found.push((real, format));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn each_file_is_found_once() {
        let directory = private_directory();
        let home = directory.path().canonicalize().expect("it is there");
        std::fs::create_dir_all(home.join(".local/share/fish")).expect("there is room");
        for name in [".bash_history", ".zsh_history", ".local/share/fish/fish_history"] {
            std::fs::write(home.join(name), "ls\n").expect("there is room");
        }
        std::os::unix::fs::symlink(home.join(".zsh_history"), home.join(".histfile")).expect("there is room");
        let variable =
            |name: &str| (name == "HOME" || name == "ZDOTDIR").then(|| home.clone().into_os_string());
        let expected = [
            (home.join(".bash_history"), HistoryFormat::Bash),
            (home.join(".zsh_history"), HistoryFormat::Zsh),
            (home.join(".local/share/fish/fish_history"), HistoryFormat::Fish),
        ];
        assert_eq!(found(&variable), expected);
        assert_eq!(found(&|_| None), []);
    }
}
