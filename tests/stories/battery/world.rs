//! What a scenario is, and what differs between its two worlds.

use super::Play;

/// How many owners a scenario has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// Eight: 0 and 1 are the attackers', 7 is the victim.
    Half,
    /// Sixteen: P is 0 to 4 with the attackers, Q is 5 to 9, R is 10 to 14, 15 is the victim.
    Whole,
}

/// One of the two worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum World {
    One,
    Other,
}

/// What differs between the worlds, on top of what everybody does each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Secret {
    /// All of the victim's day: it is in no sum that is released.
    Anything,
    /// The victim and that owner have exchanged their days: they are in the same sums or in none.
    Swap(usize),
    /// The victim alone used a database, or a container, which fewer than five did.
    Category,
    /// What the victim alone did went well, or failed.
    Outcome,
    /// Which private program it was.
    Program,
    /// At which hour of the night the victim was at work.
    Hour,
    /// How long it took.
    Duration,
    /// Whether the victim is the fourth who used a database, besides three.
    Fourth,
    /// How often the victim did what their policy keeps back.
    Often,
}

/// Minute of the day, command, exit status, milliseconds.
pub(super) type Done = (i64, &'static str, i32, i64);

impl Secret {
    /// Returns what that owner does for it.
    pub(super) fn done(self, role: usize, victim: usize, world: World) -> Vec<Done> {
        let is_victim = role == victim;
        let one = |first: Done, second: Done| vec![if world == World::One { first } else { second }];
        let database = (600, "psql -l", 0, 10);
        match self {
            Self::Anything if is_victim && world == World::One => vec![database],
            Self::Anything if is_victim => vec![
                (130, "kubectl get pods", 1, 40),
                (131, "docker ps", 0, 10),
                (600, "git push", 1, 900),
                (601, "git push", 0, 900),
            ],
            Self::Swap(partner) if is_victim || role == partner => match is_victim == (world == World::One) {
                true => {
                    vec![(600, "git push", 0, 900), (601, "git log", 0, 10), (602, "make check", 2, 5000)]
                }
                false => vec![(600, "ls /tmp", 0, 10), (660, "psql -l", 1, 20), (1200, "git log", 1, 10)],
            },
            Self::Category if is_victim => one(database, (600, "docker ps", 0, 10)),
            Self::Outcome if is_victim => one(database, (600, "psql -l", 1, 10)),
            Self::Program if is_victim => one((600, "acme-merge", 0, 10), (600, "acme-deploy --all", 0, 10)),
            Self::Hour if is_victim => one((185, "psql -l", 0, 10), (245, "psql -l", 0, 10)),
            Self::Duration if is_victim => one(database, (600, "psql -l", 0, 60_000)),
            Self::Fourth if is_victim => one(database, (600, "docker ps", 0, 10)),
            Self::Fourth if (2..5).contains(&role) => vec![database],
            Self::Often if is_victim && world == World::One => vec![database],
            Self::Often if is_victim => (600..603).map(|minute| (minute, "psql -l", 0, 10)).collect(),
            Self::Anything
            | Self::Swap(_)
            | Self::Category
            | Self::Outcome
            | Self::Program
            | Self::Hour
            | Self::Duration
            | Self::Fourth
            | Self::Often => Vec::new(),
        }
    }
}

/// One attack.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// What the answers of both worlds are compared for: it should be hidden.
    pub(super) compares: &'static str,
    pub(super) size: Size,
    /// Days of each world; the worlds differ on the last of them.
    pub(super) days: i32,
    pub(super) secret: Secret,
    /// How often a closing ends with an atom: a mesh that is silent keeps any secret.
    pub(super) closes: usize,
    pub(super) play: fn(&mut Play<'_>),
}

pub(super) const HALF: Scenario = Scenario {
    name: "",
    compares: "",
    size: Size::Half,
    days: 1,
    secret: Secret::Anything,
    closes: 1,
    play: |_| {},
};

pub(super) const WHOLE: Scenario = Scenario { size: Size::Whole, ..HALF };
