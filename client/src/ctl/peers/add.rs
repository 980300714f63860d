//! `karoctl peers add`: trust a node by its key.

use karo_protocol::Trust;
use karo_protocol::address::Address;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{ADDRESSES_MAX, PeerAdd};
use karo_protocol::peer::PORT;

use super::rows::both;
use super::{check_called, tell};
use crate::connection::ConnectionError;
use crate::ctl::cli::{CalledArgs, split_node};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::scene::Scene;
use crate::ctl::when;

/// Makes the request of what was typed.
pub(super) fn request(
    scene: &Scene,
    node: &str,
    more: &[String],
    trust: Trust,
    called: &CalledArgs,
    expires: Option<&str>,
) -> Result<PeerAdd, Trouble> {
    let (node_id, address) = split_node(node).map_err(Trouble::usage)?;
    let addresses = address.into_iter().chain(more.iter().map(String::as_str)).map(address_of);
    let addresses = addresses.collect::<Result<Vec<_>, _>>()?;
    if addresses.len() > ADDRESSES_MAX {
        return Err(Trouble::usage(format!("a peer has at most {ADDRESSES_MAX} addresses")));
    }
    let (name, owner) = check_called(called)?;
    let expires_at = expires.map(|text| when::parse_ahead(text, scene.now())).transpose();
    let expires_at = expires_at.map_err(|why| Trouble::usage(format!("--expires {why}")))?;
    Ok(PeerAdd { node_id, addresses, trust, name, owner, expires_at })
}

fn address_of(text: &str) -> Result<String, Trouble> {
    let address = Address::parse(text, PORT);
    address
        .map(|address| address.to_string())
        .map_err(|why| Trouble::usage(format!("{text:?} is no address, {why}")))
}

pub(super) fn run(scene: &mut Scene, add: &PeerAdd) -> Result<Exit, Trouble> {
    let Reply::Peer(row) = scene.connect()?.ask(&Request::PeerAdd(add.clone()))? else {
        return Err(ConnectionError::Unexpected("a peer").into());
    };
    let has_address = !add.addresses.is_empty();
    tell(scene, &row, |row| {
        let way = if has_address { "" } else { "; no address of it is known, so it must dial this machine" };
        format!("{} is trusted as {}{way}", both(row), row.trust)
    })
}
