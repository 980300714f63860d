//! A team in one group: its machines, the file that all of them accept, and a day that some of them had.

use karo_protocol::answer::{
    AtomRow, AtomState, GroupClose, GroupEdit, GroupMake, GroupShown, MeshAnswer, MeshQuery, Question,
};
use karo_protocol::group::Card;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::LinkState;
use karo_protocol::peer::Signed;
use karo_protocol::{NodeId, Observation, Timestamp};

use crate::{Node, Typist, until};

/// Name of the group of a [`Team`].
pub const GROUP: &str = "team";

/// µs of a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// Machines of a team, one for each owner.
#[derive(Debug)]
pub struct Team {
    /// Each contributes for one owner.
    pub nodes: Vec<Node>,
    /// The file that all have accepted.
    pub file: Signed,
}

impl Team {
    /// Starts so many machines of as many owners, who accept one group file and are linked.
    pub fn of(owners: usize) -> Self {
        Self::with(owners, Vec::new())
    }

    /// As [`of`](Self::of), with more changes of the file.
    pub fn with(owners: usize, edits: Vec<GroupEdit>) -> Self {
        let nodes: Vec<Node> = (0..owners).map(|_| member()).collect();
        let file = file(&nodes, edits);
        for node in &nodes {
            accept(node, &file);
        }
        let team = Self { nodes, file };
        team.wait_until_linked();
        team
    }

    /// Waits until every machine has a link to every other one.
    pub fn wait_until_linked(&self) {
        let ids: Vec<NodeId> = self.nodes.iter().map(Node::node_id).collect();
        for (place, node) in self.nodes.iter().enumerate() {
            for (other, id) in ids.iter().enumerate() {
                if place != other {
                    node.wait_for(*id, LinkState::Connected);
                }
            }
        }
    }

    /// Closes yesterday, asked for at that machine, and returns what came of it.
    pub fn close(&self, by: usize) -> AtomRow {
        close(&self.nodes[by], yesterday())
    }

    /// Returns the place of the machine that has that name in the group.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn place(&self, name: &str) -> usize {
        name.strip_prefix("node-").and_then(|number| number.parse().ok()).expect("members are called node-N")
    }

    /// Returns the places of the two who add up a day: rank 1, rank 2.
    ///
    /// # Panics
    ///
    /// When the group has no two.
    pub fn ranks(&self, day: i32) -> (usize, usize) {
        let id = blake3::hash(&self.file.bytes.0);
        let rank = |node: &Node| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(b"karo agg").update(id.as_bytes()).update(&day.to_be_bytes());
            *hasher.update(node.node_id().as_bytes()).finalize().as_bytes()
        };
        let mut ranked: Vec<([u8; 32], usize)> =
            self.nodes.iter().enumerate().map(|(place, node)| (rank(node), place)).collect();
        ranked.sort_unstable();
        (ranked[0].1, ranked[1].1)
    }

    /// Waits until a machine knows that yesterday is closed.
    pub fn wait_until_closed(&self, place: usize) -> AtomRow {
        let row = || day(&self.nodes[place], yesterday()).filter(|row| row.state == AtomState::Closed);
        until(&format!("node-{place} has the atom"), row)
    }
}

/// Starts a machine that lets its numbers into groups.
pub fn member() -> Node {
    let mut node = Node::new();
    node.configure("[sharing]\ngroups = true\n");
    node.karo.launch();
    node
}

/// Has the first of them make the group of all: `node-N` of `owner-N`.
pub fn file(nodes: &[Node], edits: Vec<GroupEdit>) -> Signed {
    let mut all = vec![
        GroupEdit::Name(GROUP.to_owned()),
        GroupEdit::Zone("UTC".to_owned()),
        GroupEdit::SmallestCohort(5),
    ];
    all.extend(nodes.iter().enumerate().map(|(place, node)| GroupEdit::Add {
        who: card(node).to_string(),
        owner: Some(format!("owner-{place}")),
        name: Some(format!("node-{place}")),
        contributes: None,
        may_aggregate: true,
        addresses: vec![node.address.clone()],
    }));
    all.extend(edits);
    make(&nodes[0], GroupMake { base: None, edits: all }).signed
}

/// Has a machine make a group file.
///
/// # Panics
///
/// When it is refused.
pub fn make(node: &Node, make: GroupMake) -> GroupShown {
    shown(node.ask(&Request::GroupMake(make)))
}

/// Accepts a group file.
///
/// # Panics
///
/// When it is refused.
pub fn accept(node: &Node, file: &Signed) -> GroupShown {
    shown(node.ask(&Request::GroupAccept(file.clone())))
}

fn shown(reply: Reply) -> GroupShown {
    match reply {
        Reply::Group(shown) => *shown,
        other => panic!("no group file but {other:?}"),
    }
}

/// Returns a machine's card.
///
/// # Panics
///
/// When it does not say.
pub fn card(node: &Node) -> Card {
    match node.ask(&Request::GroupCard(())) {
        Reply::Card(card) => *card,
        other => panic!("no card but {other:?}"),
    }
}

/// Closes a day by hand.
///
/// # Panics
///
/// When that is refused.
pub fn close(node: &Node, day: i32) -> AtomRow {
    match node.karo.session().ask(&Request::GroupClose(GroupClose { group: None, day })) {
        Ok(Reply::Atoms(rows)) => rows.into_iter().next().expect("it is about one day"),
        other => panic!("the day was not closed: {other:?}\n{}", node.karo.log()),
    }
}

/// Returns what a machine knows of a day.
///
/// # Panics
///
/// When it does not say.
pub fn day(node: &Node, day: i32) -> Option<AtomRow> {
    match node.ask(&Request::GroupAtoms(None)) {
        Reply::Atoms(rows) => rows.into_iter().find(|row| row.day == day),
        other => panic!("no days but {other:?}"),
    }
}

/// Asks a group about yesterday.
///
/// # Panics
///
/// When there is no answer.
pub fn ask(node: &Node, question: Question) -> MeshAnswer {
    about(node, question, yesterday())
}

/// Asks a group about one day.
///
/// # Panics
///
/// When there is no answer.
pub fn about(node: &Node, question: Question, day: i32) -> MeshAnswer {
    let at = |day: i32| Some(Timestamp::from_micros(i64::from(day) * DAY));
    let query = MeshQuery { question, group: None, since: at(day), until: at(day + 1), compare: false };
    match node.ask(&Request::MeshQuery(query)) {
        Reply::Answer(answer) => *answer,
        other => panic!("no answer but {other:?}"),
    }
}

/// Returns yesterday in UTC, in days since 1970-01-01.
pub fn yesterday() -> i32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seconds = now.expect("it is after 1970").as_secs();
    i32::try_from(seconds / 86_400).expect("it is before the year 5 000 000") - 1
}

/// Records commands that ended on a day, one a minute from nine o'clock on, each with its exit status.
pub fn had(node: &Node, day: i32, commands: &[(&str, i32)]) {
    let start = i64::from(day) * DAY + 9 * 60 * 60 * 1_000_000;
    let mut typist = Typist::new(u64::from(day.unsigned_abs()));
    let minutes = commands.iter().zip(0..);
    node.karo.keep(minutes.map(|((command, exit), minute)| Observation {
        started_at: Timestamp::from_micros(start + minute * 60_000_000),
        ..typist.ran(*command, *exit)
    }));
}
