//! What keeps a stream of bulk fast: whole records of TLS, and turns.
//!
//! yamux writes its headers one by one, and each write to TLS would be a record and a system call of its own: a
//! header waits for its body. And whoever fills a stream, whoever moves the bytes and whoever empties it take turns
//! of [`TURN_BYTES`], so that what is between them stays small: a window that is filled and emptied as a whole goes
//! through memory that the allocator gives back to the system and asks for again each time.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of a header of yamux: as many are kept back, until what follows them or a flush.
const HEADER_BYTES: usize = 12;

/// Payload of the largest frame of yamux that is sent, in bytes: with its header it fills two records of TLS.
pub(super) const FRAME_BYTES_MAX: usize = 2 * 16 * 1024 - HEADER_BYTES;

/// What one task moves before another has its turn, in bytes. Measured: glibc gives back what is free beyond 128 KiB,
/// and a turn three times as long made some 200,000 page faults of 1.5 GB in the place of a thousand.
const TURN_BYTES: usize = 2 * FRAME_BYTES_MAX;

/// How much was moved in this turn, in bytes.
#[derive(Debug)]
pub(super) struct Turn(usize);

impl Turn {
    pub(super) const NEW: Self = Self(0);

    /// Whether others are to have their turn first; then the task is woken for its next one.
    pub(super) fn is_over(&mut self, cx: &Context<'_>) -> bool {
        let is_over = self.0 >= TURN_BYTES;
        if is_over {
            self.0 = 0;
            cx.waker().wake_by_ref();
        }
        is_over
    }

    /// Counts what was moved; whoever had to wait begins a turn.
    pub(super) fn took<T>(&mut self, polled: &Poll<T>, bytes: usize) {
        self.0 = if polled.is_pending() { 0 } else { self.0 + bytes };
    }
}

/// Holds a header back until its body comes, and writes the two together without copying the body.
#[derive(Debug)]
pub(super) struct Gathered<T> {
    io: T,
    held: [u8; HEADER_BYTES],
    held_from: usize,
    held_to: usize,
    turn: Turn,
}

impl<T> Gathered<T> {
    pub(super) const fn new(io: T) -> Self {
        Self { io, held: [0; HEADER_BYTES], held_from: 0, held_to: 0, turn: Turn::NEW }
    }
}

impl<T: AsyncWrite + Unpin> Gathered<T> {
    /// Writes what is held with the bytes behind it; returns how many of these are written. That is none only when
    /// there are none.
    fn poll_together(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            let held = &self.held[self.held_from..self.held_to];
            if held.is_empty() {
                return if bytes.is_empty() {
                    Poll::Ready(Ok(0))
                } else {
                    Pin::new(&mut self.io).poll_write(cx, bytes)
                };
            }
            let both = [IoSlice::new(held), IoSlice::new(bytes)];
            let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &both))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let of_held = written.min(held.len());
            self.held_from += of_held;
            if written > of_held {
                return Poll::Ready(Ok(written - of_held));
            }
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gathered<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.turn.is_over(cx) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        self.turn.took(&polled, buffer.filled().len() - before);
        polled
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gathered<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held_from == self.held_to && bytes.len() <= HEADER_BYTES {
            self.held[..bytes.len()].copy_from_slice(bytes);
            (self.held_from, self.held_to) = (0, bytes.len());
            return Poll::Ready(Ok(bytes.len()));
        }
        self.poll_together(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_together(cx, &[]))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_together(cx, &[]))?;
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// Takes so many bytes at a time, and waits in between.
    #[derive(Debug)]
    struct Narrow {
        taken: Vec<Vec<u8>>,
        width: usize,
        is_ready: bool,
    }

    impl AsyncWrite for Narrow {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            self.is_ready = !self.is_ready;
            if !self.is_ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let all: Vec<u8> = bytes.iter().flat_map(|slice| slice.iter().copied()).collect();
            let taken = all[..all.len().min(self.width)].to_vec();
            let length = taken.len();
            self.taken.push(taken);
            Poll::Ready(Ok(length))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    async fn written(width: usize) -> Vec<Vec<u8>> {
        let mut io = Gathered::new(Narrow { taken: Vec::new(), width, is_ready: false });
        for body in [b"a body that is longer than a header".as_slice(), b"brief", b""] {
            io.write_all(b"head-of-12-b").await.unwrap();
            io.write_all(body).await.unwrap();
            io.flush().await.unwrap();
        }
        io.write_all(b"last").await.unwrap();
        io.shutdown().await.unwrap();
        io.io.taken
    }

    #[tokio::test]
    async fn a_header_goes_with_its_body() {
        let whole = [
            b"head-of-12-ba body that is longer than a header".as_slice(),
            b"head-of-12-bbrief",
            b"head-of-12-b",
            b"last",
        ];
        assert_eq!(written(1000).await, whole);
        for width in 1..60 {
            assert_eq!(written(width).await.concat(), whole.concat(), "{width} bytes at a time");
        }
    }

    #[tokio::test]
    async fn others_have_their_turn() {
        let mut io = Gathered::new(tokio::io::repeat(7));
        let mut bytes = vec![0; 16 * 1024];
        let mut read = 0;
        while let Poll::Ready(more) = polled(io.read(&mut bytes)).await {
            read += more.unwrap();
            assert!(read <= TURN_BYTES + bytes.len(), "nobody else has a turn");
        }
        assert!(io.read(&mut bytes).await.is_ok());
    }

    /// Polls once.
    async fn polled<T>(future: impl Future<Output = T>) -> Poll<T> {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
    }
}
