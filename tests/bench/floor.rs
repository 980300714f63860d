//! The least that any client of a hook must do: connect to a socket, write 200 bytes, end.
//!
//! The benchmark of the prompt compiles this file alone, statically, and measures against it.

use std::io::Write;
use std::os::unix::net::UnixStream;

fn main() {
    let Some(socket) = std::env::args_os().nth(1) else { return };
    if let Ok(mut stream) = UnixStream::connect(socket) {
        // Nobody is told whether it worked: the floor has no second try.
        _ = stream.write_all(&[b'x'; 200]);
    }
}
