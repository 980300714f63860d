//! One of every message that peers exchange about groups, atoms, summaries and questions.

use karo_protocol::answer::{AskTalk, Status};
use karo_protocol::atom::{
    Atom, AtomId, AtomReason, AtomSays, AtomSeal, AtomTalk, Band, ClosedAtom, Part, PartCounts, Released,
    Report,
};
use karo_protocol::group::GroupTalk;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Control;
use karo_protocol::summary::{Period, SummaryId, SummaryTalk};
use karo_protocol::{Bytes, Category, NodeId};

use crate::samples::at;
use crate::samples::mesh::{NODE, signed};
use crate::samples::sharing::{GROUP, card, health};

const OTHER: NodeId = NodeId([0x12; 32]);
const DAY: AtomId = AtomId { group: GROUP, day: 20_000 };

/// One atom's table, with a cell that is hidden, one that is not, and the widest of each band.
pub(super) fn atom() -> Atom {
    let released = |part: Part| Released {
        part,
        values: (0..part.values() as u64).map(|cell| (cell % 3 != 0).then_some(cell * 70_000)).collect(),
        owners: Band::ALL.iter().copied().cycle().take(part.owners()).collect(),
    };
    Atom {
        group: GROUP,
        day: DAY.day,
        aggregators: (NODE, OTHER),
        contributors: 9,
        owners: 12,
        parts: Part::of_group(1, 1).into_iter().map(released).collect(),
    }
}

pub(super) fn atom_seal() -> AtomSeal {
    AtomSeal { atom: Hash([9; 32]) }
}

pub(super) fn report() -> Report {
    Report { atom: DAY, leader: NODE, helper: OTHER, leader_box: Hash([7; 32]), helper_box: Hash([8; 32]) }
}

fn closed() -> ClosedAtom {
    ClosedAtom { table: signed(), seal: signed() }
}

fn says() -> Vec<(&'static str, AtomSays)> {
    let bytes = |text: &str| Bytes::from(text);
    let id = Nonce([3; 16]);
    let counts = PartCounts { part: Part::Rules(0).index(), values: vec![0, 65_535], marks: vec![0, 1] };
    let given = AtomSays::Report {
        report: signed(),
        leader_box: bytes("for rank 1"),
        helper_box: bytes("for rank 2"),
    };
    let verify = AtomSays::Verify {
        report: signed(),
        helper_box: bytes("for rank 2"),
        shares: vec![bytes("values"), bytes("owners")],
    };
    let messages = Some(vec![bytes("values"), bytes("owners")]);
    vec![
        ("peer-atom-invite", AtomSays::Invite { by_hand: true }),
        ("peer-atom-report", given),
        ("peer-atom-decline", AtomSays::Decline(AtomReason::GivenElsewhere)),
        ("peer-atom-taken", AtomSays::Taken(id)),
        ("peer-atom-open", AtomSays::Open { commitment: Hash([5; 32]), by_hand: true }),
        ("peer-atom-half", AtomSays::Half(Hash([6; 32]))),
        ("peer-atom-halves", AtomSays::Halves(Hash([7; 32]))),
        ("peer-atom-ready", AtomSays::Ready),
        ("peer-atom-verify", verify),
        ("peer-atom-verified", AtomSays::Verified { report: id, messages }),
        ("peer-atom-unverified", AtomSays::Verified { report: id, messages: None }),
        ("peer-atom-set", AtomSays::Set { reports: vec![id], commitment: Hash([5; 32]) }),
        ("peer-atom-agreed", AtomSays::Agreed { set: Hash([4; 32]), commitment: Hash([5; 32]) }),
        ("peer-atom-owners", AtomSays::Owners { sums: vec![bytes("sums")], blind: Hash([6; 32]) }),
        ("peer-atom-values", AtomSays::Values(vec![bytes("sums")])),
        ("peer-atom-table", AtomSays::Table(signed())),
        ("peer-atom-seal", AtomSays::Seal(signed())),
        ("peer-atom-closed", AtomSays::Closed(Box::new(closed()))),
        ("peer-atom-ended", AtomSays::Ended(AtomReason::TooFew)),
        ("peer-atom-feed-ask", AtomSays::FeedAsk),
        ("peer-atom-feed", AtomSays::Feed(Some(vec![counts]))),
        (
            "peer-atom-feed-ask-without",
            AtomSays::FeedAskWithout([Category::Vcs, Category::Network].into_iter().collect()),
        ),
    ]
}

/// What peers say to each other about these, each under the name of its golden frame.
pub(super) fn controls() -> Vec<(&'static str, Control)> {
    let ask = SummaryTalk::Ask { id: 4, since: at(1), until: at(2), periods: vec![Period::Daily] };
    let answer =
        SummaryTalk::Answer { id: 4, status: Status::Success, summaries: vec![signed()], is_last: true };
    let taken = SummaryTalk::Taken { id: SummaryId { period: Period::Weekly, start: at(1) }, version: 2 };
    let held = AskTalk::AtomsHeld { id: 5, status: Status::NoData, atoms: vec![closed()] };
    let healthy = AskTalk::HealthIs { id: 6, status: Status::Success, health: Some(health()) };
    let atoms = AskTalk::Atoms { id: 5, group: GROUP, days: vec![-1, 20_000] };
    let talk = |(name, says)| (name, Control::Atom(AtomTalk { atom: DAY, says }));
    let mut controls = vec![
        ("peer-group-card", Control::Group(GroupTalk::Card(card()))),
        ("peer-group-offer", Control::Group(GroupTalk::Offer(signed()))),
        ("peer-summary-push", Control::Summary(SummaryTalk::Push(signed()))),
        ("peer-summary-taken", Control::Summary(taken)),
        ("peer-summary-ask", Control::Summary(ask)),
        ("peer-summary-answer", Control::Summary(answer)),
        ("peer-ask-atoms", Control::Ask(atoms)),
        ("peer-ask-atoms-held", Control::Ask(held)),
        ("peer-ask-health", Control::Ask(AskTalk::Health { id: 6 })),
        ("peer-ask-health-is", Control::Ask(healthy)),
    ];
    controls.extend(says().into_iter().map(talk));
    controls
}
