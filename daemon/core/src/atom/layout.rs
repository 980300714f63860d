//! Which cells an atom has, where each stands, and which of them make up one another.
//!
//! The bytes are drawn in [`karo_protocol::atom`]; here each cell has a name, so that nobody else counts places.

use std::collections::BTreeMap;

use karo_protocol::atom::{CHUNK, HOURS, Part, RISK_CELLS, Signal};
use karo_protocol::group::ToolName;
use karo_protocol::{Axis, Category, Risk};

/// How an event ended: of unknown outcome it is in no cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// With exit status 0.
    Ok,
    /// With any other.
    Failed,
}

impl End {
    /// Both, in the order of their cells.
    pub const ALL: [Self; 2] = [Self::Ok, Self::Failed];
}

/// A cell: something that is counted, and whose owners are counted.
///
/// A log duration has no owners of its own: it stands beside the ok cell ([`Cell::duration`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// Events of a category.
    Category(Category, End),
    /// Events of a level on an axis, or of no risk.
    Risk(Option<(Risk, Axis)>),
    /// Events that began in that hour of the group's day, 0 to 23.
    Hour(u8),
    /// Owners whose own machine found that; it has no value.
    Signal(Signal),
    /// Events of a category whose tool has no cell.
    OtherTool(Category, End),
    /// Events of a level whose rule has no cell.
    OtherRule(Risk),
    /// Events of a tool, by its place in the group file.
    Tool(u8, End),
    /// Events of a rule, by its place in the group file.
    Rule(u8),
}

const CATEGORIES: usize = Category::ALL.len();

impl Cell {
    /// Returns the part that it stands in.
    pub const fn part(self) -> Part {
        match self {
            Self::Category(..) | Self::Risk(_) | Self::Hour(_) | Self::Signal(_) => Part::Main,
            Self::OtherTool(..) | Self::OtherRule(_) => Part::Others,
            Self::Tool(tool, _) => Part::Tools(tool / CHUNK as u8),
            Self::Rule(rule) => Part::Rules(rule / CHUNK as u8),
        }
    }

    /// Returns its place among the part's cells of owners.
    pub const fn owners(self) -> usize {
        match self {
            Self::Category(category, end) | Self::OtherTool(category, end) => {
                2 * category.index() as usize + end as usize
            }
            Self::Risk(risk) => 2 * CATEGORIES + risk_place(risk),
            Self::Hour(hour) => 2 * CATEGORIES + RISK_CELLS + hour as usize,
            Self::Signal(signal) => 2 * CATEGORIES + RISK_CELLS + HOURS + signal.index() as usize,
            Self::OtherRule(level) => 2 * CATEGORIES + level.index() as usize,
            Self::Tool(tool, end) => 2 * (tool as usize % CHUNK) + end as usize,
            Self::Rule(rule) => rule as usize % CHUNK,
        }
    }

    /// Returns its place among the part's cells of values; a signal has none.
    pub const fn value(self) -> Option<usize> {
        match self {
            Self::Category(category, end) => Some(3 * category.index() as usize + end as usize),
            Self::Risk(risk) => Some(3 * CATEGORIES + risk_place(risk)),
            Self::Hour(hour) => Some(3 * CATEGORIES + RISK_CELLS + hour as usize),
            Self::Signal(_) => None,
            Self::Tool(tool, end) => Some(3 * (tool as usize % CHUNK) + end as usize),
            Self::OtherTool(..) | Self::OtherRule(_) | Self::Rule(_) => Some(self.owners()),
        }
    }

    /// Returns the place of the log duration of its events, if that has a cell: of the ok ones of a category or tool.
    pub const fn duration(self) -> Option<usize> {
        match self {
            Self::Category(category, End::Ok) => Some(3 * category.index() as usize + 2),
            Self::Tool(tool, End::Ok) => Some(3 * (tool as usize % CHUNK) + 2),
            Self::Category(_, End::Failed)
            | Self::Tool(_, End::Failed)
            | Self::Risk(_)
            | Self::Hour(_)
            | Self::Signal(_)
            | Self::OtherTool(..)
            | Self::OtherRule(_)
            | Self::Rule(_) => None,
        }
    }
}

const fn risk_place(risk: Option<(Risk, Axis)>) -> usize {
    match risk {
        None => 0,
        Some((level, axis)) => 1 + level.index() as usize * Axis::ALL.len() + axis.index() as usize,
    }
}

/// Cells that make up a whole: each event of the whole is in exactly one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Cells that together are the same whole; empty if that is all events of the day.
    pub whole: Vec<Cell>,
    /// The cells; the others stand first, so that of equals they are hidden before what has a name.
    pub cells: Vec<Cell>,
}

/// Which cells a group's atoms have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    parts: Vec<Part>,
    tools: Vec<Category>,
    rules: Vec<Risk>,
    tool_places: BTreeMap<String, u8>,
    rule_places: BTreeMap<String, u8>,
    partitions: Vec<Partition>,
    cells: Vec<Cell>,
}

impl Layout {
    /// Draws the cells of a group with these tools and rules.
    pub fn new(tools: &[(ToolName, Category)], rules: &[(String, Risk)]) -> Self {
        let places =
            |names: &mut dyn Iterator<Item = String>| -> BTreeMap<String, u8> { names.zip(0_u8..).collect() };
        let mut layout = Self {
            parts: Part::of_group(tools.len(), rules.len()),
            tools: tools.iter().map(|(_, category)| *category).collect(),
            rules: rules.iter().map(|(_, level)| *level).collect(),
            tool_places: places(&mut tools.iter().map(|(tool, _)| tool.as_str().to_owned())),
            rule_places: places(&mut rules.iter().map(|(rule, _)| rule.clone())),
            partitions: Vec::new(),
            cells: Vec::new(),
        };
        layout.partitions = layout.draw_partitions();
        layout.cells = layout.partitions.iter().flat_map(|partition| partition.cells.clone()).collect();
        layout.cells.extend(Signal::ALL.iter().map(|signal| Cell::Signal(*signal)));
        layout
    }

    /// Returns the parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Tells whether any tool or rule has a cell of its own, and so the others of each do.
    pub const fn has_others(&self) -> bool {
        !self.tools.is_empty() || !self.rules.is_empty()
    }

    /// Returns the place of a tool that is counted under that category.
    pub fn tool(&self, name: &str, category: Category) -> Option<u8> {
        let place = *self.tool_places.get(name)?;
        (self.tools[usize::from(place)] == category).then_some(place)
    }

    /// Returns the place of a rule that is counted under that level.
    pub fn rule(&self, id: &str, level: Risk) -> Option<u8> {
        let place = *self.rule_places.get(id)?;
        (self.rules[usize::from(place)] == level).then_some(place)
    }

    /// Returns the partitions: a whole comes before what makes it up.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// Returns every cell, those that the partitions are made of and then the signals.
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    fn draw_partitions(&self) -> Vec<Partition> {
        let mut found: Vec<Partition> =
            [categories(), risks(), hours()].map(|cells| Partition { whole: Vec::new(), cells }).into();
        if self.has_others() {
            let ended = |end| Category::ALL.iter().map(move |category| self.tools_of(*category, end));
            found.extend(End::ALL.into_iter().flat_map(ended));
            found.extend(Risk::ALL.iter().map(|level| self.rules_of(*level)));
        }
        found
    }

    fn tools_of(&self, category: Category, end: End) -> Partition {
        let tools = self.tools.iter().zip(0_u8..).filter(|(of, _)| **of == category);
        let listed = tools.map(|(_, tool)| Cell::Tool(tool, end));
        let cells = std::iter::once(Cell::OtherTool(category, end)).chain(listed).collect();
        Partition { whole: vec![Cell::Category(category, end)], cells }
    }

    fn rules_of(&self, level: Risk) -> Partition {
        let rules = self.rules.iter().zip(0_u8..).filter(|(of, _)| **of == level);
        let cells =
            std::iter::once(Cell::OtherRule(level)).chain(rules.map(|(_, rule)| Cell::Rule(rule))).collect();
        let whole = Axis::ALL.iter().map(|axis| Cell::Risk(Some((level, *axis)))).collect();
        Partition { whole, cells }
    }
}

fn categories() -> Vec<Cell> {
    let both = |category: &Category| End::ALL.map(|end| Cell::Category(*category, end));
    Category::ALL.iter().flat_map(both).collect()
}

fn risks() -> Vec<Cell> {
    let on_axes = |level: &'static Risk| Axis::ALL.iter().map(move |axis| Some((*level, *axis)));
    std::iter::once(None).chain(Risk::ALL.iter().flat_map(on_axes)).map(Cell::Risk).collect()
}

fn hours() -> Vec<Cell> {
    (0..HOURS as u8).map(Cell::Hour).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::group::tests::{rules, tools};

    #[test]
    fn each_cell_has_a_place_of_its_own() {
        for (tool_count, rule_count) in [(0, 0), (1, 0), (0, 1), (40, 33), (96, 64)] {
            let layout = Layout::new(&tools(tool_count), &rules(rule_count));
            let mut owners = BTreeSet::new();
            let mut values = BTreeSet::new();
            for cell in layout.cells().iter().copied() {
                assert!(layout.parts().contains(&cell.part()), "{cell:?}");
                assert!(cell.owners() < cell.part().owners(), "{cell:?}");
                assert!(owners.insert((cell.part(), cell.owners())), "{cell:?}");
                for value in cell.value().into_iter().chain(cell.duration()) {
                    assert!(value < cell.part().values(), "{cell:?}");
                    assert!(values.insert((cell.part(), value)), "{cell:?}");
                }
            }
            let main = owners.iter().filter(|(part, _)| *part == Part::Main).count();
            assert_eq!(main, Part::Main.owners());
        }
    }

    #[test]
    fn a_tool_counts_under_its_own_category_alone() {
        let layout = Layout::new(&[(crate::public::public("git").expect("a name"), Category::Vcs)], &[]);
        assert_eq!(layout.tool("git", Category::Vcs), Some(0));
        assert_eq!(layout.tool("git", Category::Security), None);
        assert_eq!(layout.tool("svn", Category::Vcs), None);
    }
}
