//! MessagePack as a tree, so that two versions of an answer can be laid beside each other.

/// A value, without what tells how it was written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Nothing,
    Bool(bool),
    Number(i128),
    Float(f64),
    Text(Vec<u8>),
    List(Vec<Self>),
    Pairs(Vec<(Self, Self)>),
}

impl Shape {
    /// Reads a payload, which is one value.
    pub(super) fn of(payload: &[u8]) -> Self {
        let mut rest = payload;
        let shape = read(&mut rest);
        assert!(rest.is_empty(), "a payload is one value");
        shape
    }

    /// Names the first place where whoever reads `self` could not read `other`: another kind of value, or a list that has
    /// become shorter. What was added stands at the end.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Nothing, _)
            | (_, Self::Nothing)
            | (Self::Bool(_), Self::Bool(_))
            | (Self::Number(_), Self::Number(_))
            | (Self::Float(_), Self::Float(_))
            | (Self::Text(_), Self::Text(_)) => None,
            (Self::List(old), Self::List(new)) => {
                let shorter = || format!(" has {} of {} parts", new.len(), old.len());
                let in_part = |(at, (old, new)): (usize, (&Self, &Self))| {
                    old.differs(new).map(|how| format!("/{at}{how}"))
                };
                let first = old.iter().zip(new).enumerate().find_map(in_part);
                first.or_else(|| (new.len() < old.len()).then(shorter))
            }
            (Self::Pairs(old), Self::Pairs(new)) => old.iter().find_map(|(key, old)| {
                let found = new.iter().find(|(name, _)| name == key);
                found.map_or_else(|| Some(format!(" has no {key:?}")), |(_, new)| old.differs(new))
            }),
            _ => Some(format!(" was {self:?} and is {other:?}")),
        }
    }
}

fn read(rest: &mut &[u8]) -> Shape {
    let first = take(rest, 1)[0];
    match first {
        0x00..=0x7f => Shape::Number(first.into()),
        0xe0..=0xff => Shape::Number(first.cast_signed().into()),
        0x80..=0x8f => pairs(rest, first & 0x0f),
        0x90..=0x9f => list(rest, first & 0x0f),
        0xa0..=0xbf => Shape::Text(take(rest, (first & 0x1f).into()).to_vec()),
        0xc0 => Shape::Nothing,
        0xc2 | 0xc3 => Shape::Bool(first == 0xc3),
        0xc4 | 0xd9 => text(rest, 1),
        0xc5 | 0xda => text(rest, 2),
        0xc6 | 0xdb => text(rest, 4),
        0xca => Shape::Float(f32::from_be_bytes(take(rest, 4).try_into().expect("four bytes")).into()),
        0xcb => Shape::Float(f64::from_be_bytes(take(rest, 8).try_into().expect("eight bytes"))),
        0xcc..=0xcf => Shape::Number(number(rest, 1 << (first - 0xcc)).into()),
        0xd0..=0xd3 => {
            let bytes = 1_usize << (first - 0xd0);
            let unused = 64 - bytes * 8;
            Shape::Number((((number(rest, bytes) << unused).cast_signed()) >> unused).into())
        }
        0xdc | 0xdd => {
            let length = number(rest, if first == 0xdc { 2 } else { 4 });
            list(rest, length)
        }
        0xde | 0xdf => {
            let length = number(rest, if first == 0xde { 2 } else { 4 });
            pairs(rest, length)
        }
        0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => panic!("no message has a value of kind {first:#04x}"),
    }
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at_checked(count).expect("the payload is whole");
    *rest = left;
    taken
}

fn number(rest: &mut &[u8], bytes: usize) -> u64 {
    take(rest, bytes).iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn text(rest: &mut &[u8], bytes: usize) -> Shape {
    let length = number(rest, bytes) as usize;
    Shape::Text(take(rest, length).to_vec())
}

fn list(rest: &mut &[u8], length: impl Into<u64>) -> Shape {
    Shape::List((0..length.into()).map(|_| read(rest)).collect())
}

fn pairs(rest: &mut &[u8], length: impl Into<u64>) -> Shape {
    Shape::Pairs((0..length.into()).map(|_| (read(rest), read(rest))).collect())
}

#[test]
fn what_was_added_stands_at_the_end() {
    let old = Shape::of(&[0x92, 1, 0x91, 0xa1, b'x']);
    assert_eq!(old.differs(&Shape::of(&[0x93, 2, 0x92, 0xa1, b'y', 7, 0xc0])), None);
    assert_eq!(old.differs(&Shape::of(&[0x92, 1, 0x90])).as_deref(), Some("/1 has 0 of 1 parts"));
    assert!(old.differs(&Shape::of(&[0x92, 0xa0, 0x91, 0xa0])).is_some_and(|how| how.starts_with("/0 was")));
    assert_eq!(Shape::of(&[0xd1, 0xff, 0xfe]), Shape::Number(-2));
    assert_eq!(Shape::of(&[0xe0]), Shape::Number(-32));
}
