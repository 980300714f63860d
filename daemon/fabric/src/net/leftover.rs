//! What is left of a connection that takes nothing any more.
//!
//! A peer that stops says goodbye and closes. Whoever writes to it at that moment is refused while the goodbye lies
//! there unread, and yamux ends with the first error of either way. So the error of a write is kept back: what is
//! written from then on is let go, what is left is read, bounded in bytes and in time, and the error comes behind it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// What is read of a connection that takes nothing any more, in bytes: the largest message and its signature fit, and
/// more lies unread only where nobody reads.
const LEFTOVER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// For how long it is read.
const PATIENCE: Duration = Duration::from_millis(500);

/// Reads on after a write has failed. See the module.
#[derive(Debug)]
pub(super) struct Leftover<T> {
    io: T,
    failed: Option<Failed>,
}

/// A write failed, and there is an end to what is read.
#[derive(Debug)]
struct Failed {
    error: io::Error,
    bytes_left: usize,
    until: Pin<Box<Sleep>>,
}

impl<T> Leftover<T> {
    pub(super) const fn new(io: T) -> Self {
        Self { io, failed: None }
    }

    /// Keeps the error of a write back, and lets so many bytes go.
    fn keep_back<R>(&mut self, done: io::Result<R>, let_go: R) -> io::Result<R> {
        if let Err(error) = done {
            let until = Box::pin(sleep(PATIENCE));
            self.failed = Some(Failed { error, bytes_left: LEFTOVER_BYTES_MAX, until });
            return Ok(let_go);
        }
        done
    }
}

impl Failed {
    /// Returns the error of the write; whoever asks once more hears of its kind.
    fn tell(&mut self) -> io::Error {
        let again = self.error.kind().into();
        std::mem::replace(&mut self.error, again)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Leftover<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { io, failed } = &mut *self;
        let Some(failed) = failed else { return Pin::new(io).poll_read(cx, buffer) };
        if failed.bytes_left == 0 || failed.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(failed.tell()));
        }
        let before = buffer.filled().len();
        let read = ready!(Pin::new(io).poll_read(cx, buffer));
        failed.bytes_left = failed.bytes_left.saturating_sub(buffer.filled().len() - before);
        // What the write was refused for came first, and says more.
        Poll::Ready(read.map_err(|_| failed.tell()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Leftover<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.failed.is_some() {
            return Poll::Ready(Ok(all));
        }
        let written = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
        Poll::Ready(self.keep_back(written, all))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = ready!(Pin::new(&mut self.io).poll_flush(cx));
        Poll::Ready(self.keep_back(flushed, ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, empty, join, repeat};
    use tokio::time::timeout;

    use super::*;

    /// Takes nothing.
    #[derive(Debug)]
    struct Refusing;

    impl AsyncWrite for Refusing {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Never says anything.
    #[derive(Debug)]
    struct Mute;

    impl AsyncRead for Mute {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    /// Writes in vain, and reads to the end.
    async fn read_after_a_failed_write(from: impl AsyncRead + Unpin) -> (Vec<u8>, io::Result<usize>) {
        let mut io = Leftover::new(join(from, Refusing));
        io.write_all(b"in vain").await.unwrap();
        io.flush().await.unwrap();
        let mut left = Vec::new();
        let read = timeout(20 * PATIENCE, io.read_to_end(&mut left)).await.expect("there is an end");
        (left, read)
    }

    #[tokio::test]
    async fn what_is_left_is_read_to_its_end() {
        let (left, read) = read_after_a_failed_write(b"goodbye".as_slice()).await;
        assert_eq!((left.as_slice(), read.unwrap()), (b"goodbye".as_slice(), 7));
        let (_, read) = read_after_a_failed_write(empty()).await;
        assert_eq!(read.unwrap(), 0);
    }

    #[tokio::test]
    async fn who_sends_on_is_not_listened_to_for_long() {
        let (left, read) = read_after_a_failed_write(repeat(0).take(1 << 30)).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(left.len() < 2 * LEFTOVER_BYTES_MAX, "{} bytes", left.len());
    }

    #[tokio::test]
    async fn who_says_nothing_is_not_waited_for() {
        let (left, read) = read_after_a_failed_write(Mute).await;
        assert_eq!((left.len(), read.unwrap_err().kind()), (0, io::ErrorKind::BrokenPipe));
    }
}
