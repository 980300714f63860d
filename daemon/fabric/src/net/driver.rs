//! TLS over TCP with yamux in it: one task moves the bytes of a connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use karo_trust::Signer;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot, watch};
use tokio_rustls::TlsStream;
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt, TokioAsyncReadCompatExt};
use yamux::{Config, ConnectionError, FrameDecodeError, Mode};

use super::control::{Incoming, Receiver, Sender};
use super::frames::FrameWriter;
use super::gather::{FRAME_BYTES_MAX, Gathered, Turn};
use super::leftover::Leftover;
use super::tcp::Connection;
use super::{
    CONTROL, Link, Pending, Remote, STREAMS_MAX, STREAMS_OPENED_MAX, Stream, WINDOW_BYTES_MAX, loss,
};
use crate::link::Loss;

/// A stream of yamux, as tokio reads and writes.
pub(super) type MuxStream = Compat<yamux::Stream>;

/// Orders that wait for the task of a connection: each waits for its answer, so there are few.
const ORDERS_MAX: usize = STREAMS_OPENED_MAX;

/// Whoever waits for a stream.
type Order = oneshot::Sender<yamux::Stream>;

/// A link over TCP.
#[derive(Debug)]
pub struct Tcp {
    remote: Remote,
    orders: mpsc::Sender<Order>,
    /// Sent, the connection ends in order; dropped, it is cut.
    close: std::sync::Mutex<Option<oneshot::Sender<()>>>,
    opened: Arc<Semaphore>,
    inbound: Mutex<mpsc::Receiver<yamux::Stream>>,
    is_admitted: Arc<AtomicBool>,
    closed: watch::Receiver<Option<Loss>>,
}

impl Connection {
    /// Begins to talk: the control stream both ways, and the link. Runs a task on this runtime until the link is
    /// closed or dropped. The signer holds [`Remote::own`].
    pub fn start(self, signer: Arc<dyn Signer>) -> (Tcp, Sender, Receiver) {
        let (tls, remote) = self.into_parts();
        let mut config = Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        config.set_max_connection_receive_window(Some(WINDOW_BYTES_MAX));
        config.set_split_send_size(FRAME_BYTES_MAX);
        let mode = if remote.is_dialled { Mode::Client } else { Mode::Server };
        let io = Gathered::new(Leftover::new(tls)).compat();
        let mut connection = yamux::Connection::new(io, config, mode);
        let Poll::Ready(Ok(mine)) = connection.poll_new_outbound(&mut Context::from_waker(Waker::noop()))
        else {
            unreachable!("the first stream of a connection waits for nothing");
        };
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (inbound, inbound_streams) = mpsc::channel(STREAMS_MAX);
        let (control, awaited) = oneshot::channel();
        let (tell, closed) = watch::channel(None);
        let is_admitted = Arc::new(AtomicBool::new(false));
        let (close, ending) = oneshot::channel();
        let driver = Driver {
            connection,
            orders: ordered,
            ending: Ending::No(ending),
            opening: VecDeque::new(),
            inbound,
            control: Some(control),
            // The first stream of yamux that a server opens, and that a client does.
            control_id: if remote.is_dialled { 2 } else { 1 },
            is_admitted: Arc::clone(&is_admitted),
        };
        tokio::spawn(async move {
            let loss = driver.run().await;
            tracing::debug!(?loss, "connection ended");
            tell.send_replace(Some(loss));
        });
        let sender = Sender(FrameWriter::new(mine.compat(), signer, &remote, CONTROL));
        let receiver = Receiver {
            stream: Incoming::Awaited(awaited),
            remote: remote.clone(),
            is_admitted: Arc::clone(&is_admitted),
            closed: closed.clone(),
        };
        let opened = Arc::new(Semaphore::new(STREAMS_OPENED_MAX));
        let close = std::sync::Mutex::new(Some(close));
        let inbound = Mutex::new(inbound_streams);
        let link = Tcp { remote, orders, close, opened, inbound, is_admitted, closed };
        (link, sender, receiver)
    }
}

impl Tcp {
    async fn open_one(&self) -> Result<Stream, Loss> {
        let Ok(permit) = Arc::clone(&self.opened).acquire_owned().await else { return Err(Loss::Closed) };
        let (reply, answer) = oneshot::channel();
        // A driver that is gone answers neither, and has said why.
        let opened = match self.orders.send(reply).await {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        match opened {
            Some(stream) => Ok(Stream::new(stream, Some(permit))),
            None => Err(closed(&mut self.closed.clone()).await),
        }
    }

    async fn accept_one(&self) -> Result<Stream, Loss> {
        match self.inbound.lock().await.recv().await {
            Some(stream) => Ok(Stream::new(stream, None)),
            None => Err(closed(&mut self.closed.clone()).await),
        }
    }
}

impl Link for Tcp {
    fn open(&self) -> Pending<'_, Result<Stream, Loss>> {
        Box::pin(self.open_one())
    }

    fn accept(&self) -> Pending<'_, Result<Stream, Loss>> {
        Box::pin(self.accept_one())
    }

    fn admit(&self) {
        self.is_admitted.store(true, Ordering::Release);
    }

    fn remote(&self) -> &Remote {
        &self.remote
    }

    fn close(&self) {
        let close = self.close.lock().map(|mut close| close.take());
        if let Ok(Some(close)) = close {
            // A driver that is gone has nothing to close.
            close.send(()).ok();
        }
    }

    fn closed(&self) -> Pending<'_, Loss> {
        let mut closed_because = self.closed.clone();
        Box::pin(async move { closed(&mut closed_because).await })
    }
}

impl Stream {
    fn new(stream: yamux::Stream, permit: Option<tokio::sync::OwnedSemaphorePermit>) -> Self {
        Self { number: stream.id().val(), io: Box::new(stream.compat()), _permit: permit, turn: Turn::NEW }
    }
}

/// Waits until a connection is no more.
pub(super) async fn closed(because: &mut watch::Receiver<Option<Loss>>) -> Loss {
    match because.wait_for(Option::is_some).await.map(|loss| loss.clone()) {
        Ok(Some(loss)) => loss,
        // The task went without a word: it was ended with its runtime.
        Ok(None) | Err(_) => Loss::Broken("the connection was dropped".to_owned()),
    }
}

/// Whether a connection is to end.
#[derive(Debug)]
enum Ending {
    No(oneshot::Receiver<()>),
    InOrder,
}

/// The task of a connection.
struct Driver {
    connection: yamux::Connection<Compat<Gathered<Leftover<TlsStream<TcpStream>>>>>,
    orders: mpsc::Receiver<Order>,
    ending: Ending,
    opening: VecDeque<Order>,
    inbound: mpsc::Sender<yamux::Stream>,
    /// Takes the first stream of the peer: its half of the control stream.
    control: Option<oneshot::Sender<MuxStream>>,
    control_id: u32,
    is_admitted: Arc<AtomicBool>,
}

impl Driver {
    async fn run(mut self) -> Loss {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// Moves what can be moved, until the connection is no more.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Loss> {
        if let Ending::No(ending) = &mut self.ending {
            match Pin::new(ending).poll(cx) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => self.ending = Ending::InOrder,
                Poll::Ready(Err(_)) => return Poll::Ready(Loss::Closed),
            }
        }
        if let Ending::InOrder = self.ending {
            // Whether the other side was still there to hear it changes nothing.
            return self.connection.poll_close(cx).map(|_| Loss::Closed);
        }
        while let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            self.opening.push_back(order);
        }
        while !self.opening.is_empty() {
            match self.connection.poll_new_outbound(cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(stream)) => {
                    let order = self.opening.pop_front().expect("one waits");
                    // Whoever asked may be gone: then the stream is, too.
                    drop(order.send(stream));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(loss_of_mux(&error)),
            }
        }
        loop {
            match self.connection.poll_next_inbound(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => return Poll::Ready(Loss::Closed),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(loss_of_mux(&error)),
                Poll::Ready(Some(Ok(stream))) => {
                    if let Err(loss) = self.take(stream) {
                        return Poll::Ready(loss);
                    }
                }
            }
        }
    }

    /// Takes a stream that the peer opened: its control stream first, and others only once it is admitted.
    fn take(&mut self, stream: yamux::Stream) -> Result<(), Loss> {
        if let Some(control) = self.control.take() {
            if stream.id().val() != self.control_id {
                return Err(Loss::Protocol(
                    "the peer opened another stream than the control stream first".to_owned(),
                ));
            }
            // Nobody may be there to read it any more: then the link is about to be dropped.
            drop(control.send(stream.compat()));
            return Ok(());
        }
        if !self.is_admitted.load(Ordering::Acquire) {
            return Err(Loss::Protocol("the peer opened a stream before it said who it is".to_owned()));
        }
        // There is room for as many as yamux lets in; whoever does not take them has them reset.
        drop(self.inbound.try_send(stream));
        Ok(())
    }
}

fn loss_of_mux(error: &ConnectionError) -> Loss {
    if let ConnectionError::Closed = error {
        return Loss::Closed;
    }
    if let ConnectionError::Io(error) | ConnectionError::Decode(FrameDecodeError::Io(error)) = error {
        return loss(error);
    }
    Loss::Protocol(error.to_string())
}
