//! Machines with a network of their own: each a network namespace, all on one switch, and every wire can be cut.
//!
//! Nothing of it has a name that outlives the story: a namespace lives as long as the process that holds it, and
//! that ends when its standard input does.

use std::fs;
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};

use crate::is_root;
use crate::karo::Karo;
use crate::mesh::{Node, PORT};
use crate::wait::until;

/// Tells whether there can be wires here; says on stderr what is missing where there cannot.
///
/// Only tests whose name begins with `root_` ask.
pub fn are_possible() -> bool {
    if !is_root("network namespaces") {
        return false;
    }
    let all = "ip link add port type veth && nft add table ip faults && nsenter --version";
    let tried = Command::new("unshare").args(["--net", "sh", "-c", all]).output();
    let why = match tried {
        Ok(output) if output.status.success() => return true,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("skipped: no network namespaces with wires and filters: {why}");
    false
}

/// A network namespace.
#[derive(Debug)]
pub struct Namespace {
    holder: Child,
}

impl Namespace {
    /// Makes one, with loopback up.
    ///
    /// # Panics
    ///
    /// When that is not allowed.
    pub fn new() -> Self {
        let own = fs::read_link("/proc/self/ns/net").expect("the kernel has namespaces");
        let holder = Command::new("unshare")
            .args(["--net", "cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("unshare can be run");
        let namespace = Self { holder };
        until("the namespace is made", || {
            let now = fs::read_link(format!("/proc/{}/ns/net", namespace.holder.id())).ok()?;
            (now != own).then_some(())
        });
        namespace.run("ip link set lo up");
        namespace
    }

    /// Returns how it is named to `nsenter`, which becomes the program that it runs.
    fn option(&self) -> String {
        format!("--net=/proc/{}/ns/net", self.holder.id())
    }

    /// Runs a line of words in it, and returns what it printed.
    ///
    /// # Panics
    ///
    /// When it fails.
    pub fn run(&self, line: &str) -> String {
        let words = line.split_whitespace();
        let output =
            Command::new("nsenter").arg(self.option()).arg("--").args(words).stdin(Stdio::null()).output();
        let output = output.expect("nsenter can be run");
        let [printed, said] =
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        assert!(output.status.success(), "{line}: {said}");
        printed
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // It ends by itself when its input does; the wait is for it to be gone.
        drop(self.holder.stdin.take());
        drop(self.holder.wait());
    }
}

/// A switch, and the machines at it.
#[derive(Debug)]
pub struct Wires {
    /// The machines, whose addresses count from 1.
    pub machines: Vec<Machine>,
    switch: Namespace,
}

/// A machine at the end of a wire.
#[derive(Debug)]
pub struct Machine {
    /// Its daemon.
    pub node: Node,
    /// Its network.
    pub network: Namespace,
    number: u8,
}

impl Wires {
    /// Makes so many machines, each with a running daemon.
    pub fn new(machines: u8) -> Self {
        let switch = Namespace::new();
        switch.run("ip link add hub type bridge");
        switch.run("ip link set hub up");
        let machines = (1..=machines).map(|number| Machine::at(&switch, number)).collect();
        Self { machines, switch }
    }

    /// Pulls a machine's plug, or puts it in again.
    pub fn plug(&self, machine: usize, is_in: bool) {
        let number = self.machines[machine].number;
        self.switch.run(&format!("ip link set port{number} {}", if is_in { "up" } else { "down" }));
    }
}

impl Machine {
    fn at(switch: &Namespace, number: u8) -> Self {
        let network = Namespace::new();
        let holder = network.holder.id();
        switch.run(&format!("ip link add port{number} type veth peer name eth0 netns {holder}"));
        switch.run(&format!("ip link set port{number} master hub up"));
        network.run(&format!("ip address add {}/24 dev eth0", address(number)));
        network.run("ip link set eth0 up");
        network.run("nft add table ip faults");
        network.run("nft add chain ip faults lossy { type filter hook input priority 0 ; }");
        // What is dialled here, tries that get no answer among them.
        network.run("nft add chain ip faults dials { type filter hook prerouting priority 0 ; }");
        network.run(&format!(
            "nft add rule ip faults dials tcp dport {PORT} tcp flags & (syn|ack) == syn counter"
        ));
        let karo = Karo::new();
        let node = Node { karo, address: format!("{}:{PORT}", address(number)) };
        node.configure("");
        let mut machine = Self { node, network, number };
        machine.launch();
        machine
    }

    /// Starts its daemon and waits until it answers.
    pub fn launch(&mut self) {
        let namespace = self.network.option();
        let command = self.node.karo.daemon_command_through(&["nsenter", &namespace, "--"]);
        self.node.karo.launch_as(command);
    }

    /// Loses so many of a hundred packets that come for it; none with 0.
    pub fn lose(&self, percent: u8) {
        self.network.run("nft flush chain ip faults lossy");
        if percent > 0 {
            let rule = format!("iifname eth0 numgen random mod 100 < {percent} drop");
            self.network.run(&format!("nft add rule ip faults lossy {rule}"));
        }
    }

    /// Loses its address, and takes another one, if one is given; where it listened, it listens no more.
    pub fn move_to(&mut self, number: Option<u8>) {
        self.network.run("ip address flush dev eth0 scope global");
        if let Some(number) = number {
            self.network.run(&format!("ip address add {}/24 dev eth0", address(number)));
        }
        // The port at the switch keeps the number that it was made with.
    }

    /// Returns how often it was dialled, over the life of its network.
    pub fn dialled(&self) -> u64 {
        let listed = self.network.run("nft list chain ip faults dials");
        let counted = listed.split("packets ").nth(1).and_then(|rest| rest.split_whitespace().next());
        counted.and_then(|count| count.parse().ok()).expect("nft counts packets")
    }
}

/// Returns the address of that number.
pub fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}
