//! The table of each tool's own flags and positions: `mysql -pX`, `curl -u user:X`, `wpa_passphrase home X`.
//!
//! The table is `flags.tsv`; [`Shape`] says where the secret of a row stands.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use karo_protocol::event::Secret;

/// Where the secret stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// It is what the flag is given.
    Value(Value),
    /// It is a part of that.
    Part(Part),
    /// It has a place among the words that are no flags.
    Place(Place),
    /// It may be any of them.
    Any(Any),
    /// `never`: nothing follows, although the flag's name says so.
    Never,
    /// `named`: the names in its value tell, as anywhere.
    ByName,
}

/// How a flag is given its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    /// `next`: it is the next word.
    Next,
    /// `attached`: it is the rest of the word, `-pX`.
    Attached,
    /// `either`: one of these.
    Either,
    /// `long`: the next word, or what follows `=`.
    Long,
    /// `equals`: what follows `=`, and never the next word.
    Equals,
    /// `encrypt`: the next two words.
    NextTwo,
}

/// A part of what a flag is given, in the rest of its word or in the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// `after:C`: behind the first such byte: `-u user:X`.
    After(u8),
    /// `lastcolon`: behind the last `:`.
    LastColon,
    /// `headed:H`: what follows this head: `-passin pass:X`.
    Headed(&'static str),
    /// `literal`: the value of `NAME=value`.
    Literal,
    /// `cookies`: the values of the cookies.
    Cookies,
}

/// A place among the words that are no flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// `operand:N`: the Nth, counted from 1.
    Nth(usize),
    /// `lastoperand`: the last.
    Last,
    /// `lastoperand-after:C`: the last, behind such a byte if there is one.
    LastAfter(u8),
    /// `htpasswd`: the last, if `-b` is there.
    Htpasswd,
    /// `radtest`: the second and the fifth.
    Radtest,
    /// `behind-share`: the one behind `\\host\share`.
    BehindShare,
}

/// What any of the words that are no flags may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Any {
    /// `likely`: what looks like a password.
    Likely,
    /// `puts`: `NAME=X`, whatever the name.
    Puts,
    /// `named-operand`: the one behind one that is a secret name.
    Named,
    /// `slash`: `user/X@database`.
    Slash,
    /// `login`: `domain/user:X@host`.
    Login,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Flag {
    /// It counts only behind one of these words: `docker login -p X`, but `docker run -p 80:80`.
    pub(super) behind: Vec<&'static str>,
    /// The flag; `-` where the place alone tells.
    pub(super) flag: &'static str,
    pub(super) shape: Shape,
    /// A short flag may end a cluster such as `-sSu`.
    pub(super) clusters: bool,
    /// Flags that take a value, which is no operand.
    pub(super) valued: Vec<&'static str>,
    pub(super) kind: Secret,
    /// Lines in which `CANARY` is the secret, and in which there is none.
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) example: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) near_miss: &'static str,
}

/// The rows, by program.
#[derive(Debug, Default)]
pub(super) struct Flags {
    pub(super) rows: Vec<Flag>,
    programs: BTreeMap<&'static [u8], Vec<usize>>,
}

pub(super) static FLAGS: LazyLock<Flags> = LazyLock::new(|| Flags::read(include_str!("flags.tsv")));

impl Flags {
    fn read(table: &'static str) -> Self {
        let mut flags = Self::default();
        let mut groups: BTreeMap<&str, &'static str> = BTreeMap::new();
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            if let Some((group, programs)) = line.split_once(" = ").filter(|(group, _)| !group.contains('\t'))
            {
                groups.insert(group, programs);
                continue;
            }
            let Some((programs, row)) = row(line) else { continue };
            for name in programs.split(' ') {
                for program in groups.get(name).copied().unwrap_or(name).split(' ') {
                    flags.programs.entry(program.as_bytes()).or_default().push(flags.rows.len());
                }
            }
            flags.rows.push(row);
        }
        // The longer flag first: `-password` is not `-p` with a value.
        for rows in flags.programs.values_mut() {
            rows.sort_by_key(|row| std::cmp::Reverse(flags.rows[*row].flag.len()));
        }
        flags
    }

    /// Returns the rows of a program; of `impacket-psexec` those of `psexec.py`.
    pub(super) fn of(&self, program: &[u8]) -> impl Iterator<Item = &Flag> {
        let script = program.strip_prefix(b"impacket-").map(|name| [name, b".py"].concat());
        let rows = self.programs.get(script.as_deref().unwrap_or(program));
        rows.into_iter().flatten().map(|row| &self.rows[*row])
    }
}

fn row(line: &'static str) -> Option<(&'static str, Flag)> {
    let fields: Vec<&'static str> = line.split('\t').collect();
    let [programs, behind, flag, shape, example, near_miss, kind] = fields[..] else { return None };
    let mut words = shape.split(' ');
    let shape = words.next()?;
    let clusters = shape.contains('+');
    let shape = shape_of(&shape.replacen('+', "", 1), shape)?;
    let behind = if behind == "-" { Vec::new() } else { behind.split(',').collect() };
    let row = Flag {
        behind,
        flag,
        shape,
        clusters,
        valued: words.collect(),
        kind: kind.parse().ok()?,
        example,
        near_miss,
    };
    Some((programs, row))
}

fn shape_of(shape: &str, full: &'static str) -> Option<Shape> {
    let (name, argument) = shape.split_once(':').unwrap_or((shape, ""));
    let byte = || argument.as_bytes().first().copied();
    Some(match name {
        "next" => Shape::Value(Value::Next),
        "attached" => Shape::Value(Value::Attached),
        "either" => Shape::Value(Value::Either),
        "long" => Shape::Value(Value::Long),
        "equals" => Shape::Value(Value::Equals),
        "after" => Shape::Part(Part::After(byte()?)),
        "lastcolon" => Shape::Part(Part::LastColon),
        "headed" => Shape::Part(Part::Headed(full.split_once(':')?.1)),
        "cookies" => Shape::Part(Part::Cookies),
        "encrypt" => Shape::Value(Value::NextTwo),
        "literal" => Shape::Part(Part::Literal),
        "operand" => Shape::Place(Place::Nth(argument.parse().ok()?)),
        "lastoperand" => Shape::Place(Place::Last),
        "lastoperand-after" => Shape::Place(Place::LastAfter(byte()?)),
        "likely" => Shape::Any(Any::Likely),
        "puts" => Shape::Any(Any::Puts),
        "named-operand" => Shape::Any(Any::Named),
        "slash" => Shape::Any(Any::Slash),
        "login" => Shape::Any(Any::Login),
        "htpasswd" => Shape::Place(Place::Htpasswd),
        "radtest" => Shape::Place(Place::Radtest),
        "behind-share" => Shape::Place(Place::BehindShare),
        "never" => Shape::Never,
        "named" => Shape::ByName,
        _ => return None,
    })
}
