//! Attacks by questions: about sets of owners, about times, in any order, under any name.

use std::collections::{BTreeMap, BTreeSet};

use crate::chance::{Chance, tail};
use crate::field::Matrix;
use crate::mesh::{Ask, Class, Kind, Mesh, NIGHT, Rules, STRETCHES, Slot, Told, owners};

/// Scenarios of each attack on Karo's mesh.
const SCENARIOS: u64 = 500;

/// Scenarios of each attack on a weaker one.
const WEAKER_SCENARIOS: u64 = 100;

/// An attack: what it does, against which weaker mesh it wins, and the questions.
struct Attack {
    name: &'static str,
    wins_against: &'static [Rules],
    /// Whether the secret is what the victim does at night, or all of the day.
    is_of_the_night: bool,
    ask: fn(&mut Attacker<'_>),
}

const ATTACKS: &[Attack] = &[
    Attack {
        name: "with and without the victim",
        wins_against: &[Rules::FiveAlone],
        is_of_the_night: false,
        ask: with_and_without,
    },
    Attack {
        name: "nested ranges around the victim's night",
        wins_against: &[Rules::FiveAlone, Rules::Pairs],
        is_of_the_night: true,
        ask: nested_ranges,
    },
    Attack {
        name: "P u Q, P u R, Q u R u v, P",
        wins_against: &[Rules::FiveAlone, Rules::Pairs],
        is_of_the_night: false,
        ask: four_questions,
    },
    Attack {
        name: "the same again, after the victim deleted",
        wins_against: &[Rules::FiveAlone, Rules::Pairs],
        is_of_the_night: false,
        ask: repeats,
    },
    Attack {
        name: "two askers, half a pair each",
        wins_against: &[Rules::FiveAlone, Rules::Pairs],
        is_of_the_night: false,
        ask: colluding_askers,
    },
    Attack {
        name: "a restart between the halves of a pair",
        wins_against: &[Rules::FiveAlone, Rules::Pairs],
        is_of_the_night: false,
        ask: restarts,
    },
    Attack {
        name: "the victim joins, and leaves, and the day is asked again",
        wins_against: &[Rules::FiveAlone],
        is_of_the_night: false,
        ask: leaving_and_joining,
    },
    Attack {
        name: "two groups that differ by one owner, who is the attacker's",
        wins_against: &[Rules::FiveAlone],
        is_of_the_night: false,
        ask: one_owner_exchanged,
    },
    Attack {
        name: "the sets behind two classes of one day",
        wins_against: &[Rules::FiveAlone, Rules::PerClass],
        is_of_the_night: false,
        ask: two_classes,
    },
    Attack {
        name: "twenty sets drawn by chance",
        wins_against: &[Rules::FiveAlone],
        is_of_the_night: false,
        ask: drawn_sets,
    },
];

/// Whoever asks, with what they know.
struct Attacker<'a> {
    mesh: &'a mut Mesh,
    chance: &'a mut Chance,
    victim: usize,
    /// The other owners, in an order drawn; the first are the attacker's own.
    others: Vec<usize>,
    told: Vec<Told>,
}

/// Owners of each scenario: the victim and fifteen others.
const OWNERS: usize = 16;

/// Owners that are the attacker's.
const OWN: usize = 3;

impl Attacker<'_> {
    fn ask(&mut self, asker: usize, members: impl IntoIterator<Item = usize>) {
        self.ask_class(asker, members, [], Class::Categories);
    }

    fn ask_class(
        &mut self,
        asker: usize,
        members: impl IntoIterator<Item = usize>,
        left_out: impl IntoIterator<Item = usize>,
        class: Class,
    ) {
        self.ask_all(&Ask {
            asker,
            members: members.into_iter().collect(),
            left_out: left_out.into_iter().collect(),
            class,
            stretches: (0..STRETCHES).collect(),
        });
    }

    fn ask_all(&mut self, ask: &Ask) {
        self.told.extend(self.mesh.ask(ask));
    }

    fn others(&self, range: std::ops::Range<usize>) -> Vec<usize> {
        self.others[range].to_vec()
    }

    /// Returns what the attacker knows without asking: their own owners' counts, and who rests at night.
    fn known(&self, slot: Slot) -> Option<u64> {
        let is_own = self.others[..OWN].contains(&slot.owner);
        is_own.then(|| self.mesh.counts[&slot]).or(rests(slot, self.victim).then_some(0))
    }

    /// Guesses whether the victim's count of these slots is odd: exactly, if it follows from what was told, and else
    /// by the number with the fewest owners in which the victim has a part.
    fn guess(&mut self, secret: &BTreeSet<Slot>) -> bool {
        let mut unknown: BTreeSet<Slot> = self.told.iter().flat_map(|told| told.of.clone()).collect();
        unknown.extend(secret);
        unknown.retain(|slot| self.known(*slot).is_none());
        let unknown: Vec<Slot> = unknown.into_iter().collect();
        let row = |told: &Told| {
            let rest = self.unexplained(told);
            let mut row: Vec<i64> = unknown.iter().map(|slot| i64::from(told.of.contains(slot))).collect();
            row.push(rest as i64);
            row
        };
        let wanted: Vec<i64> = unknown.iter().map(|slot| i64::from(secret.contains(slot))).collect();
        if let Some(value) = Matrix::new(self.told.iter().map(row)).solve(&wanted) {
            return value % 2 == 1;
        }
        let with_victim = self.told.iter().filter(|told| secret.is_subset(&told.of));
        let best = with_victim.min_by_key(|told| owners(&told.of).len());
        best.map(|told| self.unexplained(told) % 2 == 1).unwrap_or_else(|| self.chance.coin())
    }

    /// Returns a number less what of it is known.
    fn unexplained(&self, told: &Told) -> u64 {
        told.number - told.of.iter().filter_map(|slot| self.known(*slot)).sum::<u64>()
    }
}

fn with_and_without(attacker: &mut Attacker<'_>) {
    let size = attacker.chance.of(5..OWNERS as u64 - 1) as usize;
    let rest = attacker.others(0..size);
    attacker.ask(0, rest.iter().copied().chain([attacker.victim]));
    attacker.ask(0, rest);
}

fn nested_ranges(attacker: &mut Attacker<'_>) {
    for stretches in [vec![0, 1], vec![0, 1, NIGHT], vec![0, 1, NIGHT, 3], vec![NIGHT], vec![NIGHT, 3]] {
        for class in [Class::Categories, Class::Hours] {
            attacker.ask_all(&Ask {
                asker: 0,
                members: (0..OWNERS).collect(),
                left_out: BTreeSet::new(),
                class,
                stretches: stretches.iter().copied().collect(),
            });
        }
    }
}

fn four_questions(attacker: &mut Attacker<'_>) {
    let [p, q, r] = [0, 5, 10].map(|from| attacker.others(from..from + 5));
    let victim = vec![attacker.victim];
    let mut asked = [vec![p.clone(), q.clone()], vec![p.clone(), r.clone()], vec![q, r, victim], vec![p]];
    // Whatever the order, a mesh that closes a day once tells of sets that have nobody in common.
    attacker.chance.shuffle(&mut asked);
    for sets in asked {
        attacker.ask(0, sets.concat());
    }
}

fn repeats(attacker: &mut Attacker<'_>) {
    let rest = attacker.others(0..9);
    let members: Vec<usize> = rest.into_iter().chain([attacker.victim]).collect();
    for _ in 0..5 {
        attacker.ask(0, members.iter().copied());
    }
    // The victim thinks better of it and deletes that day: the difference would be all they did.
    let victim = attacker.victim;
    let kept = attacker.mesh.counts.clone();
    attacker
        .mesh
        .counts
        .iter_mut()
        .filter(|(slot, _)| slot.owner == victim)
        .for_each(|(_, count)| *count = 0);
    let before = attacker.told.len();
    attacker.ask(0, members);
    for told in &mut attacker.told[before..] {
        // What is told after the deletion is of the others alone, unless it was closed before.
        if told.number != told.of.iter().map(|slot| kept[slot]).sum::<u64>() {
            told.of.retain(|slot| slot.owner != victim);
        }
    }
    attacker.mesh.counts = kept;
}

fn colluding_askers(attacker: &mut Attacker<'_>) {
    let rest = attacker.others(0..8);
    attacker.ask(0, rest.iter().copied().chain([attacker.victim]));
    attacker.ask(1, rest);
}

fn restarts(attacker: &mut Attacker<'_>) {
    let rest = attacker.others(0..8);
    attacker.ask(0, rest.iter().copied().chain([attacker.victim]));
    attacker.mesh.restart();
    attacker.ask(0, rest);
}

fn leaving_and_joining(attacker: &mut Attacker<'_>) {
    let rest = attacker.others(0..7);
    let with: Vec<usize> = rest.iter().copied().chain([attacker.victim]).collect();
    let mut asked = [rest.clone(), with, rest];
    if attacker.chance.coin() {
        asked.rotate_left(1);
    }
    for members in asked {
        attacker.ask(0, members);
    }
}

fn one_owner_exchanged(attacker: &mut Attacker<'_>) {
    // The first of the others is the attacker's: its count is known, so that the exchange is as good as a pair.
    let rest = attacker.others(1..8);
    let mut exchanged = [attacker.victim, attacker.others[0]];
    attacker.chance.shuffle(&mut exchanged);
    for one in exchanged {
        attacker.ask(0, rest.iter().copied().chain([one]));
    }
}

fn two_classes(attacker: &mut Attacker<'_>) {
    let members: Vec<usize> = attacker.others(0..9).into_iter().chain([attacker.victim]).collect();
    let victim = attacker.victim;
    let mut asked = [(Class::Categories, None), (Class::Tools, Some(victim)), (Class::Hours, Some(victim))];
    attacker.chance.shuffle(&mut asked);
    for (class, left_out) in asked {
        attacker.ask_class(0, members.iter().copied(), left_out, class);
    }
}

fn drawn_sets(attacker: &mut Attacker<'_>) {
    for asker in 0..20 {
        let members: Vec<usize> = (0..OWNERS).filter(|_| attacker.chance.coin()).collect();
        let class = [Class::Categories, Class::Tools, Class::Hours][attacker.chance.of(0..3) as usize];
        attacker.ask_class(asker % 2, members, [], class);
    }
}

/// Tells what everybody knows that an owner never does.
fn rests(slot: Slot, victim: usize) -> bool {
    (slot.stretch == NIGHT && slot.owner != victim) || (slot.stretch == 0 && slot.kind == Kind::Vcs)
}

/// Plays one attack many times; returns how often the attacker was right, and how many numbers they were told.
fn wins(attack: &Attack, rules: Rules, scenarios: u64) -> (u64, usize) {
    let played = (0..scenarios).map(|seed| play(attack, rules, seed));
    played.fold((0, 0), |(wins, told), (is_won, more)| (wins + u64::from(is_won), told + more))
}

fn play(attack: &Attack, rules: Rules, seed: u64) -> (bool, usize) {
    let name = *blake3::hash(attack.name.as_bytes()).as_bytes();
    let mut chance = Chance::new(seed ^ u64::from_be_bytes(name[..8].try_into().expect("eight bytes")));
    let mut order: Vec<usize> = (0..OWNERS).collect();
    chance.shuffle(&mut order);
    let victim = order.pop().expect("there are owners");
    let mut counts = BTreeMap::new();
    for owner in 0..OWNERS {
        for slot in (0..STRETCHES).flat_map(|stretch| Kind::ALL.map(|kind| Slot { owner, stretch, kind })) {
            counts.insert(slot, if rests(slot, victim) { 0 } else { chance.of(1..17) });
        }
    }
    let is_secret = |stretch: &usize| !attack.is_of_the_night || *stretch == NIGHT;
    let slot = |stretch| Slot { owner: victim, stretch, kind: Kind::Vcs };
    let secret: BTreeSet<Slot> = (0..STRETCHES).filter(is_secret).map(slot).collect();
    let is_odd = secret.iter().map(|slot| counts[slot]).sum::<u64>() % 2 == 1;
    let mut mesh = Mesh::new(rules, counts);
    let mut attacker =
        Attacker { mesh: &mut mesh, chance: &mut chance, victim, others: order, told: Vec::new() };
    (attack.ask)(&mut attacker);
    (attacker.guess(&secret) == is_odd, attacker.told.len())
}

#[test]
fn whoever_asks_learns_nothing_of_one_person() {
    let mut all = 0;
    for attack in ATTACKS {
        let (wins, told) = wins(attack, Rules::Atoms, SCENARIOS);
        assert!(told as u64 >= SCENARIOS / 2, "{}: a mesh that is silent keeps any secret", attack.name);
        let chance = tail(wins, SCENARIOS);
        assert!(chance > 0.001, "{}: {wins} of {SCENARIOS}", attack.name);
        all += wins;
    }
    assert!(tail(all, SCENARIOS * ATTACKS.len() as u64) > 0.001, "{all} in all");
}

#[test]
fn the_same_attacks_win_against_weaker_meshes() {
    for rules in Rules::ALL.into_iter().filter(|rules| *rules != Rules::Atoms) {
        let winning: Vec<&Attack> =
            ATTACKS.iter().filter(|attack| attack.wins_against.contains(&rules)).collect();
        assert!(!winning.is_empty(), "nothing is said to win against {rules:?}");
        for attack in winning {
            let (wins, _) = wins(attack, rules, WEAKER_SCENARIOS);
            assert!(wins > WEAKER_SCENARIOS * 9 / 10, "{rules:?}, {}: {wins} wins", attack.name);
            assert!(tail(wins, WEAKER_SCENARIOS) < 1e-9);
        }
    }
}
