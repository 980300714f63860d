//! What the groups are asked and told.

use std::sync::Arc;

use actix::Message;
use karo_protocol::answer::{AtomRow, GroupClose, GroupMake, GroupRow, GroupShown};
use karo_protocol::atom::ClosedAtom;
use karo_protocol::group::Card;
use karo_protocol::local::Failure;
use karo_protocol::peer::Signed;
use karo_trust::identity::Identity;

/// What becomes of a question about one file.
pub type Shown = Result<Box<GroupShown>, Failure>;

/// This machine is that, or why it cannot be used. Sent by [`peers`](crate::actors::peers), at the start and at each
/// change.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Ourselves(pub Result<Arc<Identity>, String>);

/// This machine's card. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Card, Failure>")]
pub struct OwnCard;

/// Make a file. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Shown")]
pub struct Make(pub GroupMake);

/// What is in that file? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Shown")]
pub struct Look(pub Signed);

/// The file of the group of that name. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Shown")]
pub struct Show(pub String);

/// Accept that file. Sent by sessions; answered when it is on disk.
#[derive(Debug, Message)]
#[rtype(result = "Shown")]
pub struct Accept(pub Signed);

/// Leave the group of that name. Sent by sessions; answered when it is on disk.
#[derive(Debug, Message)]
#[rtype(result = "Shown")]
pub struct Leave(pub String);

/// Which groups are there? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Vec<GroupRow>")]
pub struct List;

/// Close a past day now. Sent by sessions; answered when it is closed or has ended.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<AtomRow>, Failure>")]
pub struct CloseDay(pub GroupClose);

/// Which days are closed, given, refused? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<AtomRow>, Failure>")]
pub struct Days(pub Option<String>);

/// A member had these atoms. Sent by [`questions`](crate::actors::questions); answered when those that verify can be
/// looked at.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Fetched(pub Vec<ClosedAtom>);
