//! Links to peers: the state machine of one link, and the connections it runs over.
//!
//! `link` decides and touches nothing; `net` connects and decides nothing.

#![warn(missing_docs)]
