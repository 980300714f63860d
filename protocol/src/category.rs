//! The taxonomy of commands, and the levels of risk.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name that is in no closed list of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    /// What the name was meant to be: `category`, `risk`, `shell`.
    pub what: &'static str,
    /// The names there are, separated by commas.
    pub expected: String,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown {}, expected one of: {}", self.what, self.expected)
    }
}

impl std::error::Error for UnknownName {}

/// Declares an enum that is a number on the wire and on disk, and a lower-case name for people.
///
/// The order of the variants is part of both formats: new ones are added at the end.
#[macro_export]
macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of its index.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the number that stands for this value on the wire and on disk.
            pub const fn index(self) -> u8 {
                self as u8
            }

            /// Returns the value of that number, if there is one.
            pub fn from_index(index: u8) -> Option<Self> {
                Self::ALL.get(usize::from(index)).copied()
            }

            /// Returns the name that people see and type.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.name())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::category::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|value| value.name() == text).ok_or_else(|| {
                    let expected = Self::ALL.iter().map(|value| value.name()).collect::<Vec<_>>().join(", ");
                    $crate::category::UnknownName { what: $what, expected }
                })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(self.index())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let index = <u8 as serde::Deserialize>::deserialize(deserializer)?;
                Self::from_index(index)
                    .ok_or_else(|| <D::Error as serde::de::Error>::custom(concat!("unknown ", $what)))
            }
        }
    };
}

named_enum! {
    /// What kind of command it is: twenty kinds, and the rest.
    Category, "category" {
        /// The shell's own words, and moving about in it.
        Shell = "shell",
        /// Listing, copying, moving, removing, permissions.
        File = "file",
        /// Packing and unpacking.
        Archive = "archive",
        /// Reading, searching, filtering text.
        Text = "text",
        /// Editors.
        Editor = "editor",
        /// Version control.
        Vcs = "vcs",
        /// Compilers and build systems.
        Build = "build",
        /// Interpreters and what they run.
        Runtime = "runtime",
        /// Package managers.
        Package = "package",
        /// Containers and their orchestration.
        Container = "container",
        /// Cloud providers and infrastructure as code.
        Cloud = "cloud",
        /// Databases and their clients.
        Database = "database",
        /// Network configuration, transfer, inspection.
        Network = "network",
        /// Working on another machine.
        Remote = "remote",
        /// Processes and jobs.
        Process = "process",
        /// Services, disks, kernel, hardware.
        System = "system",
        /// Users, groups, privilege.
        Identity = "identity",
        /// Keys, cryptography, attack and defence.
        Security = "security",
        /// Pictures, sound, video, documents.
        Media = "media",
        /// Windows and desktop programs.
        Desktop = "desktop",
        /// Everything else.
        Other = "other",
    }
}

named_enum! {
    /// How much harm a command could do: Sigma's levels.
    Risk, "risk" {
        /// Worth knowing, no more.
        Informational = "informational",
        /// Rarely of interest by itself.
        Low = "low",
        /// Worth a look.
        Medium = "medium",
        /// Worth a look today.
        High = "high",
        /// Worth a look at once.
        Critical = "critical",
    }
}

named_enum! {
    /// In which way a command is risky; kept apart, because each asks for another answer.
    Axis, "axis" {
        /// It looks like an attacker's deed.
        Threat = "threat",
        /// It can destroy what cannot be brought back.
        Hazard = "hazard",
        /// It shows what should stay hidden.
        Exposure = "exposure",
    }
}

/// Sets of categories, ordered, as one number: bit `n` is the category of index `n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct CategorySet(u32);

impl CategorySet {
    /// Adds a category.
    pub fn insert(&mut self, category: Category) {
        self.0 |= 1 << category.index();
    }

    /// Tells whether the category is in the set.
    pub const fn contains(self, category: Category) -> bool {
        self.0 & 1 << category.index() != 0
    }

    /// Returns the members in the order of their index.
    pub fn iter(self) -> impl Iterator<Item = Category> {
        Category::ALL.iter().copied().filter(move |category| self.contains(*category))
    }
}

impl FromIterator<Category> for CategorySet {
    fn from_iter<I: IntoIterator<Item = Category>>(categories: I) -> Self {
        let mut set = Self::default();
        categories.into_iter().for_each(|category| set.insert(category));
        set
    }
}

impl Serialize for CategorySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.0)
    }
}

impl<'de> Deserialize<'de> for CategorySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bits = u32::deserialize(deserializer)?;
        if bits >> Category::ALL.len() != 0 {
            return Err(D::Error::custom("unknown category in a set"));
        }
        Ok(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_twenty_and_the_rest() {
        assert_eq!(Category::ALL.len(), 21);
        for (index, category) in Category::ALL.iter().enumerate() {
            assert_eq!(usize::from(category.index()), index);
            assert_eq!(category.name().parse(), Ok(*category));
        }
    }

    #[test]
    fn levels_are_ordered_by_harm() {
        assert!(Risk::Informational < Risk::Low && Risk::High < Risk::Critical);
    }
}
