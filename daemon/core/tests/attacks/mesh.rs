//! The mesh that is attacked: Karo's, or one whose rule is weaker.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use karo_core::atom::answer::{Asked, ClosedDay, answer};
use karo_core::atom::counts::{CountedEvent, DayCounts};
use karo_core::atom::layout::Layout;
use karo_core::atom::ledger::{Given, may_give};
use karo_core::group::Group;
use karo_protocol::answer::{AnswerRow, Question};
use karo_protocol::atom::AtomReason;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::{Category, Micros};

use crate::world::{Closing, group, node};

/// Stretches of a day; the owners do nothing but the shell's in the first.
pub(crate) const STRETCHES: usize = 4;

/// The stretch in which, of all owners, only the victim ever works.
pub(crate) const NIGHT: usize = 2;

/// What the virtual owners do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// What everybody does besides.
    Shell,
    /// What the secret is about.
    Vcs,
}

impl Kind {
    pub(crate) const ALL: [Self; 2] = [Self::Shell, Self::Vcs];

    const fn category(self) -> Category {
        match self {
            Self::Shell => Category::Shell,
            Self::Vcs => Category::Vcs,
        }
    }
}

const DAY: i32 = 20_000;

/// The one tool that has a cell; every other event runs it.
const TOOL: &str = "git";

/// The hour of the first stretch.
const FIRST_HOUR: usize = 7;

/// Which answers a mesh gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rules {
    Atoms,
    FiveAlone,
    Pairs,
    PerClass,
}

impl Rules {
    pub(crate) const ALL: [Self; 4] = [Self::Atoms, Self::FiveAlone, Self::Pairs, Self::PerClass];
}

/// What an answer is about: each is a table of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Categories,
    Tools,
    Hours,
}

impl Class {
    /// Returns the question, and the place of the table in its answer.
    const fn asked(self) -> (Question, usize) {
        match self {
            Self::Categories => (Question::ToolUsage, 0),
            Self::Tools => (Question::ToolUsage, 1),
            Self::Hours => (Question::Activity, 0),
        }
    }
}

/// What of whom: an owner's events of one kind in one stretch of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Slot {
    pub(crate) owner: usize,
    pub(crate) stretch: usize,
    pub(crate) kind: Kind,
}

/// A question, with all that an attacker can do about it.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Under which name it is asked.
    pub(crate) asker: usize,
    /// Whose group: every one of them accepts whatever is made of them.
    pub(crate) members: BTreeSet<usize>,
    /// Whose reports the attacker keeps from the aggregators.
    pub(crate) left_out: BTreeSet<usize>,
    pub(crate) class: Class,
    /// Which stretches; in Karo there is no such question but for the whole day.
    pub(crate) stretches: BTreeSet<usize>,
}

/// A number that was told, and the events that it is the number of.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) of: BTreeSet<Slot>,
    pub(crate) number: u64,
}

/// Virtual owners, what they did, and what their mesh remembers of what it told.
pub(crate) struct Mesh {
    rules: Rules,
    /// Events of each slot: what the victim deletes later is gone from here, and not from what was closed.
    pub(crate) counts: BTreeMap<Slot, u64>,
    /// On each contributor's disk: what was given of each day, and of each class where classes are closed alone.
    ledger: BTreeMap<(usize, Option<Class>), Given>,
    /// On the members' disks.
    closed: BTreeMap<(Hash, Option<Class>), (BTreeSet<usize>, ClosedDay)>,
    /// In memory: what each asker was told of.
    asked: BTreeMap<usize, Vec<BTreeSet<Slot>>>,
}

impl Mesh {
    pub(crate) fn new(rules: Rules, counts: BTreeMap<Slot, u64>) -> Self {
        Self { rules, counts, ledger: BTreeMap::new(), closed: BTreeMap::new(), asked: BTreeMap::new() }
    }

    /// Every program of the mesh is started anew: what was in memory alone is forgotten.
    pub(crate) fn restart(&mut self) {
        self.asked.clear();
    }

    pub(crate) fn ask(&mut self, ask: &Ask) -> Vec<Told> {
        match self.rules {
            Rules::Atoms => self.ask_atoms(ask, None).unwrap_or_default(),
            Rules::PerClass => self.ask_atoms(ask, Some(ask.class)).unwrap_or_default(),
            Rules::FiveAlone => self.ask_five_alone(ask).into_iter().collect(),
            Rules::Pairs => self.ask_pairs(ask).into_iter().collect(),
        }
    }

    fn ask_five_alone(&self, ask: &Ask) -> Option<Told> {
        let set: BTreeSet<usize> = ask.members.difference(&ask.left_out).copied().collect();
        let of = slots(&set, &ask.stretches, &[Kind::Vcs]);
        (set.len() >= 5).then(|| Told { number: of.iter().map(|slot| self.count(*slot)).sum(), of })
    }

    fn ask_pairs(&mut self, ask: &Ask) -> Option<Told> {
        let told = self.ask_five_alone(ask)?;
        let before = self.asked.entry(ask.asker).or_default();
        let is_near = |other: &BTreeSet<Slot>| {
            (1..5).contains(&owners(&told.of.symmetric_difference(other).copied().collect()).len())
        };
        if before.iter().any(is_near) {
            return None;
        }
        before.push(told.of.clone());
        Some(told)
    }

    fn count(&self, slot: Slot) -> u64 {
        self.counts.get(&slot).copied().unwrap_or_default()
    }

    /// Karo: a group, a ledger at each contributor, one closing, one rule, and arithmetic over what was closed.
    ///
    /// With a class, each class of a day is closed as an atom of its own.
    fn ask_atoms(&mut self, ask: &Ask, class: Option<Class>) -> Option<Vec<Told>> {
        if ask.stretches.len() < STRETCHES {
            return None;
        }
        let group = Arc::new(group(&ask.members, &[(TOOL, Category::Vcs)], &[]).ok()?);
        let name = (group.id(), class);
        if !self.closed.contains_key(&name) {
            let closed = self.close(&group, ask, class)?;
            self.closed.insert(name, closed);
        }
        let (set, closed) = &self.closed[&name];
        let (question, section) = ask.class.asked();
        let not_looked_for = BTreeSet::new();
        let asked = Asked { question, days: DAY..DAY + 1, compare: false, not_looked_for };
        let answered = answer(&asked, &BTreeMap::from([(DAY, closed.clone())]));
        let rows = &answered.sections[section].rows;
        let all: BTreeSet<usize> = (0..STRETCHES).collect();
        Some(match ask.class {
            Class::Categories => {
                let of_kind = |kind: Kind| told(rows, kind.category().name(), slots(set, &all, &[kind]));
                Kind::ALL.into_iter().filter_map(of_kind).collect()
            }
            // The tool and the others are all there is of their category.
            Class::Tools if rows.len() == 2 => {
                let number = rows.iter().filter_map(|row| row.count).sum();
                vec![Told { of: slots(set, &all, &[Kind::Vcs]), number }]
            }
            Class::Tools => Vec::new(),
            Class::Hours => {
                let of_hour = |stretch| {
                    let of = slots(set, &BTreeSet::from([stretch]), &Kind::ALL);
                    told(rows, &format!("{:02}", FIRST_HOUR + stretch), of)
                };
                (0..STRETCHES).filter_map(of_hour).collect()
            }
        })
    }

    fn close(
        &mut self,
        group: &Arc<Group>,
        ask: &Ask,
        class: Option<Class>,
    ) -> Option<(BTreeSet<usize>, ClosedDay)> {
        let mut set = BTreeSet::new();
        let mut tables = Vec::new();
        for owner in ask.members.difference(&ask.left_out).copied() {
            let table = self.table(group.layout(), owner);
            if self.give(group, owner, class, &table).is_ok() {
                set.insert(owner);
                tables.push(table);
            }
        }
        let closing = Closing::new(group, &tables);
        let atom = closing.release(group, DAY, &set)?;
        Some((set, ClosedDay { group: Arc::clone(group), atom: Arc::new(atom) }))
    }

    fn give(
        &mut self,
        group: &Group,
        owner: usize,
        class: Option<Class>,
        table: &DayCounts,
    ) -> Result<(), AtomReason> {
        let given = Given { group: group.id(), table: table.hash(), report: Nonce([0; 16]) };
        may_give(self.ledger.get(&(owner, class)), given.group, given.table)?;
        self.ledger.insert((owner, class), given);
        assert!(group.member(&node(owner)).is_some());
        Ok(())
    }

    fn table(&self, layout: &Arc<Layout>, owner: usize) -> DayCounts {
        let mut table = DayCounts::new(Arc::clone(layout));
        let own = (0..STRETCHES).flat_map(|stretch| Kind::ALL.map(|kind| Slot { owner, stretch, kind }));
        for slot in own {
            let event = CountedEvent {
                category: slot.kind.category(),
                risk: None,
                axis: None,
                exit: Some(0),
                duration: Some(Micros(1)),
                hour: (FIRST_HOUR + slot.stretch) as u8,
            };
            for number in 0..self.count(slot) {
                let tool = (number % 2 == 0).then_some(TOOL);
                table.add(&event, tool.into_iter(), std::iter::empty());
            }
        }
        table
    }
}

fn told(rows: &[AnswerRow], name: &str, of: BTreeSet<Slot>) -> Option<Told> {
    let number = rows.iter().find(|row| row.name == name)?.count?;
    Some(Told { of, number })
}

fn slots(owners: &BTreeSet<usize>, stretches: &BTreeSet<usize>, kinds: &[Kind]) -> BTreeSet<Slot> {
    let of_one = |owner: &usize| {
        let owner = *owner;
        let of_stretch = move |stretch: &usize| {
            let stretch = *stretch;
            kinds.iter().map(move |kind| Slot { owner, stretch, kind: *kind })
        };
        stretches.iter().flat_map(of_stretch)
    };
    owners.iter().flat_map(of_one).collect()
}

pub(crate) fn owners(slots: &BTreeSet<Slot>) -> BTreeSet<usize> {
    slots.iter().map(|slot| slot.owner).collect()
}
