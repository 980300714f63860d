//! A connection tried for the user, step by step: what was done, how long it took, and what went wrong.
//!
//! The living link is left alone: the try ends when the peer has let this node in, before this side says a word.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use karo_fabric::link::{DIAL_PATIENCE, Loss};
use karo_fabric::net;
use karo_protocol::mesh::TestStep;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::route::Route;

/// Tries every step, until one that the rest depends on fails.
pub(super) async fn steps(name: String, route: Route, is_up: bool) -> Vec<TestStep> {
    let mut steps = Vec::new();
    if !route.is_open() {
        let error = format!("no address of {name} is known here");
        let advice = format!("wait until {name} dials this machine, or add it again with its address");
        steps.push(step("address".to_owned(), Instant::now(), Err((error, advice))));
        return steps;
    }
    let begun = Instant::now();
    let resolved = route.resolved().await;
    let addresses = match resolved {
        Ok(addresses) => addresses,
        Err(loss) => {
            let advice =
                "give an IP address, or see mesh.resolve and the resolver of this machine".to_owned();
            steps.push(step("resolve".to_owned(), begun, Err((loss.reason(), advice))));
            return steps;
        }
    };
    steps.push(step(format!("resolve {} of {name}", counted(addresses.len())), begun, Ok(())));
    for address in addresses {
        steps.extend(tried(&name, &route, address).await);
    }
    let link = match is_up {
        true => Ok(()),
        false => Err((
            format!("no link to {name} is up"),
            format!("`karoctl peers show {name}` says what happened to it last"),
        )),
    };
    steps.push(step("link".to_owned(), Instant::now(), link));
    steps
}

/// Tries one address: the connection, the handshake, and whether the peer lets this node in.
async fn tried(name: &str, route: &Route, address: SocketAddr) -> Vec<TestStep> {
    let begun = Instant::now();
    let stands = Arc::new(OnceLock::new());
    let on_transport = {
        let stands = Arc::clone(&stands);
        move |_| stands.set(Instant::now()).unwrap_or_default()
    };
    let dialled = net::dial(&route.dialled(), &[address], DIAL_PATIENCE, on_transport).await;
    let transport = stands.get().copied().unwrap_or_else(Instant::now);
    let mut steps = Vec::new();
    let mut done = |what: &str, from: Instant, to: Instant, error: Option<(String, String)>| {
        let (error, advice) = error.unzip();
        let took_us = to.saturating_duration_since(from).as_micros() as u64;
        steps.push(TestStep { step: what.to_owned(), took_us, error, advice });
    };
    let connect = format!("connect {address}");
    match dialled {
        Err(failed) if stands.get().is_none() => {
            done(&connect, begun, transport, Some(unreached(address, &failed.loss())));
        }
        Err(failed) => {
            done(&connect, begun, transport, None);
            done("TLS handshake", transport, Instant::now(), Some(refusal(name, &failed.loss())));
        }
        Ok(connection) => {
            let shaken = Instant::now();
            done(&connect, begun, transport, None);
            done("TLS handshake", transport, shaken, None);
            // Whoever dials is through first: whether it is let in shows in what comes next.
            let (mut tls, _) = connection.into_parts();
            let refused = match timeout(DIAL_PATIENCE, tls.read_u8()).await {
                Ok(Ok(_)) => None,
                Ok(Err(error)) => Some(refusal(name, &net::loss(&error))),
                Err(_) => Some(refusal(name, &Loss::TimedOut("it says nothing".to_owned()))),
            };
            done("being let in", shaken, Instant::now(), refused);
        }
    }
    steps
}

fn counted(addresses: usize) -> String {
    if addresses == 1 { "the address".to_owned() } else { format!("{addresses} addresses") }
}

/// Says why there is no connection, and what can be done.
fn unreached(address: SocketAddr, loss: &Loss) -> (String, String) {
    let advice = match loss {
        Loss::TimedOut(_) => {
            format!("see whether the machine is awake, and whether a firewall lets {address} through")
        }
        Loss::Closed | Loss::Unreachable(_) | Loss::Refused(_) | Loss::Broken(_) | Loss::Protocol(_) => {
            format!(
                "see whether karod runs there, has a peer (without one it does not listen), and listens at {address}: \
             `karoctl identity show` there"
            )
        }
    };
    (loss.reason(), advice)
}

/// Says what a failed handshake means, and what can be done.
fn refusal(name: &str, loss: &Loss) -> (String, String) {
    let advice = match loss {
        Loss::Refused(_) => format!(
            "compare the fingerprint of `karoctl identity show` on {name} with `karoctl peers` here, and the other way round"
        ),
        Loss::Protocol(_) | Loss::TimedOut(_) => {
            format!("see whether karod of {name} listens there, and not another program")
        }
        Loss::Closed | Loss::Unreachable(_) | Loss::Broken(_) => {
            format!("see whether karod of {name} listens there, and what its log says")
        }
    };
    (loss.reason(), advice)
}

fn step(step: String, begun: Instant, done: Result<(), (String, String)>) -> TestStep {
    let took_us = begun.elapsed().as_micros() as u64;
    let (error, advice) = done.err().unzip();
    TestStep { step, took_us, error, advice }
}
