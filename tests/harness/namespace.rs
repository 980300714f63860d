//! Networks of their own: what happens in them stays there, and every packet that leaves can be counted.

use std::path::Path;
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::karo::Karo;
use crate::wait::until;

/// Namespaces that this process has made: their names differ by it.
static NAMESPACES: AtomicU32 = AtomicU32::new(0);

/// Where packets are counted: what leaves for anything but the peers is put into a set, by address, protocol, port.
/// The kernel's own search for neighbours (ICMPv6) is nobody's doing.
const WATCH: &str = "
table inet karo {
    set peers { type ipv4_addr; }
    set elsewhere { type ipv4_addr . inet_proto . inet_service; flags dynamic; size 4096; }
    set elsewhere6 { type ipv6_addr . inet_proto . inet_service; flags dynamic; size 4096; }
    chain leaving {
        type filter hook output priority 0;
        meta l4proto ipv6-icmp accept
        ip daddr @peers meta l4proto tcp accept
        meta nfproto ipv4 update @elsewhere { ip daddr . meta l4proto . th dport }
        meta nfproto ipv6 update @elsewhere6 { ip6 daddr . meta l4proto . th dport }
    }
}";

/// A network namespace with a loopback device; gone with the value.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes one; `None`, with a word on stderr, where this machine does not let us.
    pub fn new() -> Option<Self> {
        let name = format!("karo-{}-{}", process::id(), NAMESPACES.fetch_add(1, Ordering::Relaxed));
        if !is_done("ip", &["netns", "add", &name]) {
            return None;
        }
        let namespace = Self { name };
        namespace.run("ip", &["link", "set", "lo", "up"]).then_some(namespace)
    }

    /// Makes two that one wire joins, `None` where this machine does not let us: 10.77.0.1 is at the first one's end and 10.77.0.2 at the other's, and each sends
    /// through the other what it knows no way for.
    ///
    /// # Panics
    ///
    /// When the wire does not carry.
    pub fn pair() -> Option<(Self, Self)> {
        let (one, other) = (Self::new()?, Self::new()?);
        let (here, there) = (one.name.as_str(), other.name.as_str());
        let wire =
            ["link", "add", "wire", "netns", here, "type", "veth", "peer", "name", "wire", "netns", there];
        let is_joined = is_done("ip", &wire)
            && one.join("10.77.0.1/24", "10.77.0.2")
            && other.join("10.77.0.2/24", "10.77.0.1");
        // The kernel tells a little later that a wire carries.
        let is_up = |namespace: &Self| namespace.output(&["ip", "link", "show", "wire"]).contains("state UP");
        if is_joined {
            until("the wire carries", || (is_up(&one) && is_up(&other)).then_some(()));
        }
        is_joined.then_some((one, other))
    }

    /// Puts the wire in, with this address and a way through the other end's; tells whether that worked.
    pub fn join(&self, own: &str, other: &str) -> bool {
        self.run("ip", &["addr", "add", own, "dev", "wire"])
            && self.run("ip", &["link", "set", "wire", "up"])
            && self.run("ip", &["route", "add", "default", "via", other])
    }

    /// Runs a program in it and tells whether it worked; says on stderr when not.
    pub fn run(&self, program: &str, arguments: &[&str]) -> bool {
        let mut all = vec!["netns", "exec", &self.name, program];
        all.extend(arguments);
        is_done("ip", &all)
    }

    /// Prepares a daemon that has this network and no other.
    pub fn daemon_command(&self, karo: &Karo) -> Command {
        karo.daemon_command_through(&["ip", "netns", "exec", &self.name])
    }

    /// Begins to note what leaves for anybody but these.
    pub fn watch(&self, peers: &[&str]) -> bool {
        let peers = peers.iter().map(|peer| format!("add element inet karo peers {{ {peer} }}\n"));
        let rules = format!("{WATCH}\n{}", peers.collect::<String>());
        self.run("nft", &[&rules])
    }

    /// Returns what has left for anybody else, as `ADDRESS . PROTOCOL . PORT`.
    ///
    /// # Panics
    ///
    /// When it was not watched.
    pub fn went_elsewhere(&self) -> Vec<String> {
        let sets = ["elsewhere", "elsewhere6"];
        sets.into_iter().flat_map(|set| self.elements(set)).collect()
    }

    fn output(&self, command: &[&str]) -> String {
        let output = Command::new("ip").args(["netns", "exec", &self.name]).args(command).output();
        let output = output.expect("ip can be run");
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn elements(&self, set: &str) -> Vec<String> {
        let text = self.output(&["nft", "list", "set", "inet", "karo", set]);
        let elements = text.split_once("elements = {").and_then(|(_, rest)| rest.split_once('}'));
        let elements =
            elements.map(|(elements, _)| elements.split(',').map(|one| one.trim().to_owned()).collect());
        elements.unwrap_or_default()
    }

    /// Forgets what has left.
    pub fn forget(&self) -> bool {
        ["elsewhere", "elsewhere6"].iter().all(|set| self.run("nft", &["flush", "set", "inet", "karo", set]))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        is_done("ip", &["netns", "del", &self.name]);
    }
}

/// Returns the UDP ports that are bound where a process is.
///
/// # Panics
///
/// When the process is gone.
pub fn udp_ports(karo: &Karo) -> Vec<u16> {
    let table = |name: &str| {
        let path = format!("/proc/{}/net/{name}", karo.pid().as_raw_nonzero());
        std::fs::read_to_string(Path::new(&path)).expect("the daemon runs")
    };
    let port = |line: &str| {
        let (_, port) = line.split_whitespace().nth(1)?.rsplit_once(':')?;
        u16::from_str_radix(port, 16).ok()
    };
    let tables = [table("udp"), table("udp6")];
    tables.iter().flat_map(|table| table.lines().skip(1).filter_map(port)).collect()
}

fn is_done(program: &str, arguments: &[&str]) -> bool {
    match Command::new(program).args(arguments).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("skipped: {program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            false
        }
    }
}
