//! A name server with a few records, and a memory for what it was asked.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// Kinds of records (RFC 1035, 3596, 2782).
const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// What became of a question (RFC 1035, section 4.1.1).
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;

/// Bytes of a header.
const HEADER: usize = 12;

/// One record: the name of what has it, its kind, what it says.
type Record = (String, u16, Vec<u8>);

/// A name server on loopback that answers over UDP.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl NameServer {
    /// Starts one with these records; it ends with the process.
    ///
    /// # Panics
    ///
    /// When loopback cannot be had.
    pub fn start(records: Vec<Record>) -> Self {
        Self::start_as(records, NO_ERROR)
    }

    /// Starts one that fails wherever it has no record.
    ///
    /// # Panics
    ///
    /// When loopback cannot be had.
    pub fn failing(records: Vec<Record>) -> Self {
        Self::start_as(records, SERVER_FAILURE)
    }

    fn start_as(records: Vec<Record>, without: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback is ours");
        let address = socket.local_addr().expect("it is bound");
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let memory = Arc::clone(&asked);
        thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut buffer) {
                let Some((name, kind, end)) = question(&buffer[..length]) else { continue };
                memory.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                let of_it = records.iter().filter(|(owner, of, _)| *owner == name && *of == kind);
                let of_it: Vec<&Record> = of_it.collect();
                let code = if of_it.is_empty() { without } else { NO_ERROR };
                let reply = answer(&buffer[..end], &of_it, code);
                // Whoever asked may be gone.
                drop(socket.send_to(&reply, from));
            }
        });
        Self { address, asked }
    }

    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the names that it was asked for, in lower case and without the dot at their end.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A pointer to an instance whose first label may hold anything.
pub fn pointer(owner: &str, label: &str, rest: &str) -> Record {
    let mut data = vec![label.len() as u8];
    data.extend(label.as_bytes());
    data.extend(encoded(rest));
    (owner.to_owned(), PTR, data)
}

/// Where a service is.
pub fn service(owner: &str, host: &str, port: u16) -> Record {
    let mut data = vec![0; 4];
    data.extend(port.to_be_bytes());
    data.extend(encoded(host));
    (owner.to_owned(), SRV, data)
}

/// What is said of it.
pub fn texts(owner: &str, texts: &[&str]) -> Record {
    let string = |text: &&str| [vec![text.len() as u8], text.as_bytes().to_vec()].concat();
    (owner.to_owned(), TXT, texts.iter().flat_map(string).collect())
}

/// An address of a host.
///
/// # Panics
///
/// When the text is none.
pub fn address(owner: &str, ip: &str) -> Record {
    match ip.parse().expect("it is an address") {
        std::net::IpAddr::V4(v4) => (owner.to_owned(), A, v4.octets().to_vec()),
        std::net::IpAddr::V6(v6) => (owner.to_owned(), AAAA, v6.octets().to_vec()),
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let label = |label: &str| [vec![label.len() as u8], label.as_bytes().to_vec()].concat();
    name.split('.').flat_map(label).chain([0]).collect()
}

/// Reads the only question: the name, the kind, and where it ends.
fn question(message: &[u8]) -> Option<(String, u16, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER;
    loop {
        let length = usize::from(*message.get(at)?);
        let label = message.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(label).to_lowercase());
    }
    let kind = message.get(at..at + 2)?;
    Some((labels.join("."), u16::from_be_bytes([kind[0], kind[1]]), at + 4))
}

fn answer(question: &[u8], records: &[&Record], code: u8) -> Vec<u8> {
    let mut message = question.to_vec();
    // An answer to a recursive question; one question, so many answers, nothing else.
    message[2..4].copy_from_slice(&[0x81, 0x80 | code]);
    message[4..HEADER].copy_from_slice(&[0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    for (_, kind, data) in records {
        // The name is that of the question; class IN; ten minutes.
        message.extend([0xc0, HEADER as u8]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 2, 88]);
        message.extend((data.len() as u16).to_be_bytes());
        message.extend(data);
    }
    message
}
