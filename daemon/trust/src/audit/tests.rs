//! The tree beside one so plain that it cannot be wrong, and everything that must be found.

use std::collections::BTreeMap;

use karo_protocol::audit::{AuditEntry, AuditExport, ConsistencyProof, Deed, Head, InclusionProof, Reason};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::{Bytes, Timestamp};
use proptest::prelude::*;

use super::tree::{TILE_HASHES, split};
use super::*;
use crate::object;
use crate::testing::{Dice, Key};
use crate::{Chance, Signer};

const LOG: Nonce = Nonce([7; 16]);

fn entry(number: u64) -> AuditEntry {
    AuditEntry {
        at: Timestamp::from_micros(1_790_000_000_000_000 + number as i64),
        deed: Deed::ALL[number as usize % Deed::ALL.len()],
        peer: number.is_multiple_of(2).then(|| Key::of(number % 5).node_id()),
        count: number,
        trust: None,
        day: None,
        reason: Reason::Command,
        other: None,
    }
}

/// What a store would hold of a log.
#[derive(Debug, Clone, Default)]
struct Shelf {
    lines: Vec<Option<Vec<u8>>>,
    tiles: BTreeMap<(u8, u64), Vec<u8>>,
}

impl Shelf {
    fn keep(&mut self, leaf: &Leaf) {
        assert_eq!(leaf.index, self.lines.len() as u64);
        self.lines.push(Some(leaf.line.to_bytes()));
        leaf.tiles.iter().for_each(|tile| self.keep_tile(tile));
    }

    fn keep_tile(&mut self, tile: &Tile) {
        assert_eq!(self.tiles.insert((tile.level, tile.index), tile.to_bytes()), None, "a tile is kept once");
    }

    fn line(&self, index: u64) -> Option<Line> {
        Line::read(self.lines.get(index as usize)?.as_ref()?)
    }

    fn check(&self, first: u64, heads: &[Head]) -> Checked {
        check(LOG, self.lines.len() as u64, first, self, |index| self.line(index), heads)
    }
}

impl Stored for Shelf {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Hash>> {
        Tile::read(self.tiles.get(&(level, index))?)
    }

    fn leaf(&self, index: u64) -> Option<Hash> {
        Some(self.line(index)?.hash)
    }
}

/// A log of so many entries, what is stored of it, and its head at each size.
fn grown(entries: u64) -> (AuditLog, Shelf, Vec<Head>) {
    let sizes: Vec<u64> = (0..=entries).collect();
    let (log, shelf, heads) = grown_with(entries, &sizes);
    (log, shelf, heads.into_values().collect())
}

/// The same, with its head at some sizes: a root costs some hundred hashes.
fn grown_with(entries: u64, sizes: &[u64]) -> (AuditLog, Shelf, BTreeMap<u64, Head>) {
    let (mut log, mut shelf, mut dice) = (AuditLog::begin(LOG), Shelf::default(), Dice(entries));
    let mut heads = BTreeMap::new();
    for number in 0..=entries {
        if sizes.contains(&number) {
            heads.insert(number, log.head());
        }
        if number < entries {
            shelf.keep(&log.add(&entry(number), &mut dice));
        }
    }
    (log, shelf, heads)
}

/// The Merkle tree hash of RFC 9162, section 2.1.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len() as u64) as usize);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

fn leaves(shelf: &Shelf) -> Vec<Hash> {
    (0..shelf.lines.len() as u64).map(|index| shelf.leaf(index).unwrap()).collect()
}

#[test]
fn the_root_is_that_of_the_plain_tree_at_every_size() {
    let (_, shelf, heads) = grown(700);
    let leaves = leaves(&shelf);
    for (size, head) in heads.iter().enumerate() {
        assert_eq!(head.root, naive_root(&leaves[..size]), "{size}");
    }
    assert_eq!(shelf.tiles.len(), 2);
}

/// One entry under fixed dice: these bytes are on disks and in proofs.
#[test]
fn the_bytes_of_a_leaf_are_fixed() {
    let leaf = AuditLog::begin(LOG).add(&entry(1), &mut Dice(1));
    assert_eq!(leaf.line.entry(), Some(entry(1)));
    assert!(leaf.line.is_sound());
    let random = leaf.line.random;
    let whole = [&[0][..], &random.0, &leaf.line.entry.0].concat();
    assert_eq!(leaf.line.hash.0, *blake3::hash(&whole).as_bytes());
    let pair = [&[1][..], &leaf.line.hash.0, &leaf.line.hash.0].concat();
    assert_eq!(node_hash(&leaf.line.hash, &leaf.line.hash).0, *blake3::hash(&pair).as_bytes());
    assert_eq!(Line::read(&leaf.line.to_bytes()), Some(leaf.line));
}

#[test]
fn every_consistency_proof_up_to_300_holds_and_no_other_root_does() {
    let (_, shelf, heads) = grown(300);
    let wrong = Hash([9; 32]);
    for second in 0..=300_u64 {
        for first in 0..=second {
            let proof = consistency_proof(&shelf, first, second).unwrap();
            let roots = (heads[first as usize].root, heads[second as usize].root);
            let verify = |first_root: &Hash, second_root: &Hash, proof: &ConsistencyProof| {
                verify_consistency((first, first_root), (second, second_root), proof)
            };
            assert!(verify(&roots.0, &roots.1, &proof), "{first} in {second}");
            assert!(!verify(&wrong, &roots.1, &proof));
            if first > 0 {
                assert!(!verify(&roots.0, &wrong, &proof));
            }
            if (first * 31 + second) % 29 == 0 {
                let mut longer = proof.clone();
                longer.hashes.push(wrong);
                assert!(!verify(&roots.0, &roots.1, &longer));
                for place in 0..proof.hashes.len() {
                    let mut other = proof.clone();
                    other.hashes[place].0[3] ^= 1;
                    assert!(!verify(&roots.0, &roots.1, &other));
                    other.hashes.truncate(place);
                    assert!(!verify(&roots.0, &roots.1, &other));
                }
            }
        }
    }
}

#[test]
fn every_entry_is_proven_in_every_log_and_nothing_else_is() {
    let (_, shelf, heads) = grown(300);
    let leaves = leaves(&shelf);
    for size in (1..=300_u64).filter(|size| *size < 40 || size % 37 == 0 || *size > 254) {
        let root = heads[size as usize].root;
        for index in (0..size).filter(|index| size < 40 || (index + size) % 5 == 0) {
            let proof = inclusion_proof(&shelf, index, size).unwrap();
            let leaf = leaves[index as usize];
            assert!(verify_inclusion(&leaf, index, size, &root, &proof), "{index} of {size}");
            assert!(!verify_inclusion(&Hash([1; 32]), index, size, &root, &proof));
            assert!(!verify_inclusion(&leaf, index + 1, size, &root, &proof));
            assert!(!verify_inclusion(&leaf, index, size, &heads[size as usize - 1].root, &proof));
            let none = InclusionProof::default();
            assert_eq!(verify_inclusion(&root, index, size, &root, &none), size == 1, "a root is no leaf");
            let mut longer = proof.clone();
            longer.hashes.push(root);
            assert!(!verify_inclusion(&leaf, index, size, &root, &longer));
        }
    }
}

#[test]
fn a_log_is_taken_up_where_it_was_left_and_has_the_tiles_that_a_crash_kept_back() {
    let sizes = [0, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_537, 66_000_u64];
    let (_, whole, heads) = grown_with(66_000, &sizes);
    for size in sizes {
        let mut shelf = whole.clone();
        shelf.lines.truncate(size as usize);
        let tiles: Vec<(u8, u64)> = shelf
            .tiles
            .keys()
            .copied()
            .filter(|(level, index)| (index + 1) << (8 * (u32::from(*level) + 1)) > size)
            .collect();
        tiles.iter().for_each(|tile| drop(shelf.tiles.remove(tile)));
        let (log, unstored) = AuditLog::restore(LOG, size, &shelf).unwrap();
        assert_eq!((log.head(), unstored.len()), (heads[&size], 0), "{size}");
        let count = shelf.tiles.len();
        // The batch of the last entry was torn behind its line.
        shelf.tiles.retain(|(level, index), _| (index + 1) << (8 * (u32::from(*level) + 1)) != size);
        let (log, unstored) = AuditLog::restore(LOG, size, &shelf).unwrap();
        assert_eq!((log.head(), unstored.len()), (heads[&size], count - shelf.tiles.len()));
        unstored.iter().for_each(|tile| shelf.keep_tile(tile));
        assert!(shelf.tiles.iter().all(|(place, tile)| whole.tiles[place] == *tile));
    }
    let mut lost = whole;
    lost.lines[65_900] = None;
    assert_eq!(AuditLog::restore(LOG, 66_000, &lost).unwrap_err(), Missing { index: 65_900 });
    assert!(consistency_proof(&lost, 65_536, 66_000).is_err());
}

#[test]
fn proofs_reach_over_levels_of_tiles() {
    let sizes = [1, 255, 40_000, 65_535, 65_536, 65_537, 65_700, 65_793, 65_800, 65_999, 66_000];
    let (_, mut shelf, heads) = grown_with(66_000, &sizes);
    let leaves = leaves(&shelf);
    // All that tiles have is past its retention.
    let first = forgettable(66_000, u64::MAX);
    assert_eq!((first, forgettable(66_000, 9)), (65_792, 9));
    (0..first as usize).for_each(|index| shelf.lines[index] = None);
    for (index, size) in [(0, 66_000), (65_999, 66_000), (65_535, 65_536), (65_536, 65_537), (300, 65_793)] {
        let proof = inclusion_proof(&shelf, index, size).unwrap();
        assert!(verify_inclusion(&leaves[index as usize], index, size, &heads[&size].root, &proof));
    }
    for (first, second) in [(1, 66_000), (255, 65_536), (65_536, 66_000), (65_535, 65_999), (40_000, 65_800)]
    {
        let proof = consistency_proof(&shelf, first, second).unwrap();
        let root = |size: u64| (size, &heads[&size].root);
        assert!(verify_consistency(root(first), root(second), &proof));
    }
    let checked = shelf.check(first, &[heads[&66_000], heads[&65_700]]);
    assert_eq!((checked.is_sound(), checked.expired), (true, first), "{checked:?}");
}

#[test]
fn any_flipped_bit_of_two_hundred_entries_is_named() {
    let (_, shelf, heads) = grown(200);
    assert!(shelf.check(0, &[heads[200]]).is_sound());
    for index in 0..200 {
        for bit in 0..shelf.lines[index].as_ref().unwrap().len() * 8 {
            // All bits of some entries, some bits of all.
            if index % 40 != 0 && bit % 61 != index % 61 {
                continue;
            }
            let mut flipped = shelf.lines[index].clone().unwrap();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let line = |at: u64| match at == index as u64 {
                true => Line::read(&flipped),
                false => shelf.line(at),
            };
            let checked = check(LOG, 200, 0, &shelf, line, &[]);
            assert_eq!((checked.bad, checked.bad_count), (vec![index as u64], 1), "bit {bit} of {index}");
        }
    }
    let (_, mut shelf, _) = grown(300);
    shelf.lines[17] = None;
    assert_eq!(shelf.check(0, &[]).bad, [17]);
    shelf.tiles.get_mut(&(0, 0)).unwrap()[32 * 40] ^= 1;
    let checked = shelf.check(0, &[]);
    assert_eq!((checked.bad, checked.faults.len()), (vec![17, 40], 0));
}

/// Whoever can write to the disk makes lines, hashes and tiles fit each other; a signed head they cannot make.
#[test]
fn a_log_that_was_rewritten_or_cut_is_not_the_one_that_was_signed() {
    let (_, shelf, heads) = grown(500);
    let signed = [heads[100], heads[200], heads[300], heads[500]];
    let (mut forged, mut copy, mut dice) = (AuditLog::begin(LOG), Shelf::default(), Dice(3));
    for number in 0..500 {
        if number != 250 {
            let line = shelf.line(number).unwrap();
            let tiles = forged.push(line.hash);
            copy.keep(&Leaf { index: number, line, tiles });
        } else {
            copy.keep(&forged.add(&entry(1), &mut dice));
        }
    }
    let checked = copy.check(0, &signed);
    assert_eq!(checked.bad_count, 0);
    assert_eq!(checked.faults.len(), 2, "{:?}", checked.faults);
    assert!(checked.faults[0].contains("below 300") && checked.faults[0].contains("up to 200"));
    let (_, cut, _) = grown(500);
    let mut cut = cut;
    cut.lines.truncate(450);
    cut.tiles.retain(|(level, index), _| (*level, *index) == (0, 0));
    assert_eq!(cut.check(0, &signed).faults, ["a head of 500 entries was signed, and there are 450"]);
}

#[test]
fn a_witness_finds_every_cut_and_rewrite_below_what_it_saw() {
    let (_, shelf, heads) = grown(300);
    let mut witness = Witness::default();
    assert_eq!(witness.offered(&heads[100]), Offered::First);
    assert!(witness.take(heads[100]) && !witness.take(heads[100]) && !witness.take(heads[120]));
    assert_eq!(witness.offered(&heads[100]), Offered::Same);
    assert_eq!(witness.offered(&heads[120]), Offered::Newer { from: heads[100] });
    let cut = Refutation::Rollback { seen: 100, told: 99 };
    assert_eq!(witness.offered(&heads[99]), Offered::Refuted(cut));
    let proof = consistency_proof(&shelf, 100, 120).unwrap();
    // Another log with the same id: one entry is another, somewhere below.
    for place in 0..100 {
        let mut forged = AuditLog::begin(LOG);
        let mut other = Shelf::default();
        for number in 0..120 {
            let leaf = match number == place {
                true => forged.add(&entry(number), &mut Dice(77)),
                false => {
                    let line = shelf.line(number).unwrap();
                    let tiles = forged.push(line.hash);
                    Leaf { index: number, line, tiles }
                }
            };
            other.keep(&leaf);
            if forged.size() == 100 {
                let refuted = Offered::Refuted(Refutation::Equivocation { size: 100 });
                assert_eq!(witness.offered(&forged.head()), refuted);
            }
        }
        let before = witness.clone();
        for proof in [&proof, &consistency_proof(&other, 100, 120).unwrap()] {
            let refuted = witness.prove(forged.head(), proof);
            assert_eq!(refuted, Err(Refutation::Inconsistent { seen: 100, told: 120 }), "{place}");
        }
        assert_eq!(witness, before);
    }
    assert_eq!(witness.prove(heads[120], &proof), Ok(()));
    assert_eq!(witness.known, Some(heads[120]));
    let refuted = witness.prove(heads[120 - 1], &ConsistencyProof::default());
    assert_eq!(refuted, Err(Refutation::Rollback { seen: 120, told: 119 }));
}

#[test]
fn another_log_is_held_and_watched_until_a_person_takes_it() {
    let (_, shelf, heads) = grown(30);
    let mut witness = Witness::default();
    witness.take(heads[20]);
    let other = Nonce([8; 16]);
    let of_other = |size: usize| Head { log: other, ..heads[size] };
    assert_eq!(witness.offered(&of_other(2)), Offered::NewLog);
    assert!(witness.take(of_other(2)));
    assert_eq!((witness.known, witness.held), (Some(heads[20]), Some(of_other(2))));
    let proof = consistency_proof(&shelf, 2, 9).unwrap();
    assert_eq!(witness.prove(of_other(9), &proof), Ok(()));
    assert_eq!(witness.held, Some(of_other(9)));
    let cut = Offered::Refuted(Refutation::Rollback { seen: 9, told: 2 });
    assert_eq!(witness.offered(&of_other(2)), cut);
    assert!(!witness.acknowledge(&Nonce([1; 16])) && !witness.acknowledge(&LOG));
    assert!(witness.acknowledge(&other));
    assert_eq!(witness, Witness { known: Some(of_other(9)), held: None });
    assert_eq!(witness.offered(&heads[20]), Offered::NewLog);
    let bytes = rmp_serde::to_vec(&witness).unwrap();
    assert_eq!(rmp_serde::from_slice::<Witness>(&bytes).unwrap(), witness);
}

fn export(shelf: &Shelf, head: Head, key: &Key, indexes: &[u64]) -> AuditExport {
    let at = Timestamp::from_micros(1_790_000_000_000_000);
    let head_signed = object::sign(key, head, None, at, at, Nonce([3; 16])).unwrap();
    let proven = |index: &u64| {
        let line = shelf.line(*index).unwrap();
        (*index, (line.random, line.entry, inclusion_proof(shelf, *index, head.size).unwrap()))
    };
    AuditExport { node: key.node_id(), head: head_signed, entries: indexes.iter().map(proven).collect() }
}

#[test]
fn an_export_proves_its_entries_to_whoever_has_the_key() {
    let (_, shelf, heads) = grown(300);
    let key = Key::of(1);
    let good = export(&shelf, heads[290], &key, &[0, 5, 280]);
    // As it is written to a file and read again.
    let text = serde_json::to_string(&good).unwrap();
    let proven = verify_export(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!((proven.node, proven.head), (key.node_id(), heads[290]));
    assert_eq!(proven.entries, [0, 5, 280].map(|number| (number, entry(number))));
    let mut moved = good.clone();
    let five = moved.entries.remove(&5).unwrap();
    moved.entries.insert(6, five);
    assert!(matches!(verify_export(&moved), Err(ExportFault::Entry { index: 6, .. })));
    let mut changed = good.clone();
    let bytes = &mut changed.entries.get_mut(&5).unwrap().1;
    *bytes = Bytes(rmp_serde::to_vec(&entry(6)).unwrap());
    assert!(matches!(verify_export(&changed), Err(ExportFault::Entry { index: 5, .. })));
    let other = AuditExport { node: Key::of(2).node_id(), ..good.clone() };
    assert!(matches!(verify_export(&other), Err(ExportFault::Head(_))));
    let mut unsigned = good;
    unsigned.head.signature.0[0] ^= 1;
    assert!(matches!(verify_export(&unsigned), Err(ExportFault::Head(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_log_of_any_hashes_is_the_plain_tree(size in 1..1500_u64, seed in any::<u64>(), cuts in prop::array::uniform2(0.0..1.0_f64)) {
        let (mut log, mut dice, mut shelf) = (AuditLog::begin(LOG), Dice(seed), Shelf::default());
        let mut hashes = Vec::new();
        for _ in 0..size {
            let hash = Hash(dice.draw());
            hashes.push(hash);
            let line = Line { hash, random: Nonce([0; 16]), entry: Bytes(Vec::new()) };
            let index = log.size();
            let tiles = log.push(hash);
            shelf.keep(&Leaf { index, line, tiles });
        }
        prop_assert_eq!(log.root(), naive_root(&hashes));
        prop_assert_eq!(shelf.tiles.values().all(|tile| tile.len() == 32 * TILE_HASHES), true);
        let [first, index] = cuts.map(|cut| (cut * size as f64) as u64);
        let inclusion = inclusion_proof(&shelf, index, size).unwrap();
        prop_assert!(verify_inclusion(&hashes[index as usize], index, size, &log.root(), &inclusion));
        let consistency = consistency_proof(&shelf, first, size).unwrap();
        let first_root = naive_root(&hashes[..first as usize]);
        prop_assert!(verify_consistency((first, &first_root), (size, &log.root()), &consistency));
        let (restored, unstored) = AuditLog::restore(LOG, size, &shelf).unwrap();
        prop_assert_eq!((restored, unstored), (log, Vec::new()));
    }

    #[test]
    fn no_bytes_make_a_line_or_tile_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(line) = Line::read(&bytes) {
            prop_assert!(!line.is_sound());
            line.entry();
        }
        prop_assert_eq!(Tile::read(&bytes), None);
    }
}
