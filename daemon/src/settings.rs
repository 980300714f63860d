//! The configuration file: read once at the start and again at each HUP.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use karo_protocol::config::{Config, ConfigError, Settings};
use karo_protocol::limits::CONFIG_BYTES_MAX;
use rustix::fs::OFlags;

use crate::ground;

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("could not read {path}: {error}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It is larger than a configuration can be.
    #[error("{path} is larger than {CONFIG_BYTES_MAX} bytes")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It is not TOML, or has a key that is none.
    #[error("{path}: {reason}")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why, over several lines.
        reason: String,
    },
    /// A value is out of its range.
    #[error("{path}: {error}")]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, the value and the accepted range.
        error: ConfigError,
    },
}

/// Reads and checks the file; one that is not there means the defaults.
///
/// # Errors
///
/// [`SettingsError`] names the file, the key and the mend.
pub fn load(path: &Path) -> Result<Settings, SettingsError> {
    let unreadable = |error| SettingsError::Unreadable { path: path.to_owned(), error };
    let mut text = String::new();
    match ground::open_file(path, OFlags::empty()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(error)),
        Ok(file) => {
            file.take(CONFIG_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
        }
    }
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(SettingsError::TooLarge { path: path.to_owned() });
    }
    let config: Config = toml::from_str(&text)
        .map_err(|error| SettingsError::Syntax { path: path.to_owned(), reason: error.to_string() })?;
    let home = std::env::home_dir();
    config.check(home.as_deref()).map_err(|error| SettingsError::Value { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).expect("there is room for a file");
        let error = load(&path).expect_err(text).to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn errors_name_the_key() {
        check("[store]\nreserve_mib = 0", "store.reserve_mib is 0, accepted is 1 to");
        check("[store]\nreserve = 1", "reserve");
        check("[socket", "socket");
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let pipe = directory.path().join("config.toml");
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, mode, 0).expect("there is room for a pipe");
        for (path, what) in [
            (pipe.as_path(), "a pipe"),
            (directory.path(), "a directory"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let error = load(path).expect_err(what).to_string();
            assert!(error.contains("could not read") && error.contains(what), "{error}");
        }
        let long = directory.path().join("long.toml");
        std::fs::write(&long, "#".repeat(CONFIG_BYTES_MAX as usize + 1)).expect("there is room for a file");
        assert!(matches!(load(&long), Err(SettingsError::TooLarge { .. })));
    }

    #[test]
    fn no_file_means_the_defaults() {
        let settings = load(Path::new("/nonexistent/config.toml")).expect("absence is no error");
        assert_eq!(settings, Settings::default());
    }
}
