//! What summaries and the policy are asked and told.

use actix::Message;
use karo_protocol::answer::{SummaryAsk, SummaryRow};
use karo_protocol::local::Failure;
use karo_protocol::policy::{Policy, PolicyChange, PolicyExplained, PolicyPreview, PolicyShown};

/// Which summaries are there? Sent by sessions; the oldest first.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<SummaryRow>, Failure>")]
pub struct Ask(pub SummaryAsk);

/// What goes to whom? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Box<PolicyShown>")]
pub struct Shown;

/// Change that. Sent by sessions; answered when it is in force.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<PolicyShown>, Failure>")]
pub struct Change(pub PolicyChange);

/// What exactly would go to that peer now? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<Box<PolicyPreview>, Failure>")]
pub struct Preview(pub String);

/// Why does what go to that peer? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Result<PolicyExplained, Failure>")]
pub struct Explain(pub String);

/// The configuration says something else. Sent by the root after a reload.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Settle(pub Policy);
