//! A connection tried for the user, step by step: what was done, how long it took, and what went wrong.
//!
//! The living link is left alone: the try ends with the handshake, and is closed before either side says a word.

use std::time::Instant;

use karo_fabric::link::{DIAL_PATIENCE, Loss};
use karo_fabric::net;
use karo_protocol::mesh::TestStep;
use tokio::net::TcpStream;
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
        let begun = Instant::now();
        let connected = timeout(DIAL_PATIENCE, TcpStream::connect(address)).await;
        let connected = connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let advice =
            || format!("see whether karod listens there, and whether a firewall lets {address} through");
        steps.push(step(
            format!("connect {address}"),
            begun,
            connected.as_ref().map(drop).map_err(|error| (error.to_string(), advice())),
        ));
        if connected.is_ok() {
            drop(connected);
            let begun = Instant::now();
            let dialled =
                timeout(DIAL_PATIENCE, net::dial(&route.dialled(), &[address], DIAL_PATIENCE, |_| ())).await;
            let done = match dialled {
                Ok(Ok(_)) => Ok(()),
                Ok(Err(failed)) => Err(refusal(&name, &failed.loss())),
                Err(_) => Err(("no answer within 10 s".to_owned(), advice())),
            };
            steps.push(step(format!("TLS handshake with {address}"), begun, done));
        }
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

fn counted(addresses: usize) -> String {
    if addresses == 1 { "the address".to_owned() } else { format!("{addresses} addresses") }
}

/// Says what a failed handshake means, and what can be done.
fn refusal(name: &str, loss: &Loss) -> (String, String) {
    let advice = match loss {
        Loss::Refused(_) => format!(
            "compare `karoctl identity show` on {name} with `karoctl peers` here, and the other way round"
        ),
        Loss::Protocol(_) => format!("see whether karod of {name} listens there, and not another program"),
        Loss::Closed | Loss::Unreachable(_) | Loss::TimedOut(_) | Loss::Broken(_) => {
            format!("see the log of karod on {name}")
        }
    };
    (loss.reason(), advice)
}

fn step(step: String, begun: Instant, done: Result<(), (String, String)>) -> TestStep {
    let took_us = begun.elapsed().as_micros() as u64;
    let (error, advice) = done.err().unzip();
    TestStep { step, took_us, error, advice }
}
