//! Values of the configuration as they are written in the file.

use super::FollowEntry;

/// A default as it is written in the file.
pub(super) trait ToToml {
    fn to_toml(&self) -> String;
}

impl ToToml for i64 {
    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl ToToml for bool {
    fn to_toml(&self) -> String {
        self.to_string()
    }
}

impl ToToml for String {
    fn to_toml(&self) -> String {
        format!("{self:?}")
    }
}

impl<T: ToToml> ToToml for Vec<T> {
    fn to_toml(&self) -> String {
        format!("[{}]", self.iter().map(ToToml::to_toml).collect::<Vec<_>>().join(", "))
    }
}

impl ToToml for FollowEntry {
    fn to_toml(&self) -> String {
        format!("{{ shell = {:?}, path = {:?} }}", self.shell, self.path)
    }
}
