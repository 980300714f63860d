//! Attacks on the answers about a group, by whoever asks and whoever is in it.
//!
//! **The game.** In each scenario a victim has a secret: whether the number of their commands of some kind is odd. The
//! attacker may have every group made and every operator accept it, may close days in any order, leave reports out,
//! restart whom they like, ask under many names, and own up to three of the owners; they know who never does what.
//! Then they guess. Everybody's counts are drawn evenly, so a number in which one other honest owner has a part says
//! nothing of the parity, and a number of the victim alone says all: a mesh that keeps its promise leaves the attacker
//! with the fall of a coin.
//!
//! **The judge.** Wins are compared with a fair coin by the exact tail of the binomial distribution, one-sided, at
//! p > 0.001. The same battery is run against meshes that are weaker, and must win there: a test that cannot fail
//! shows nothing.
//!
//! | mesh | what it does |
//! | --- | --- |
//! | [`mesh::Rules::Atoms`] | what Karo does: groups, ledgers, one closing, one rule for all parts |
//! | [`mesh::Rules::FiveAlone`] | answers whatever has five owners behind it |
//! | [`mesh::Rules::Pairs`] | besides, no two questions of one asker may differ by one to four owners |
//! | [`mesh::Rules::PerClass`] | closes each class of a day by itself, with a set of its own |

mod atoms;
mod battery;
mod chance;
mod field;
mod linear;
mod mesh;
mod puppets;
mod world;
