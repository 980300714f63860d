//! The signals that a daemon hears: stop, and read the configuration again.

use actix::Addr;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::actors::root::{Reload, Root, Stop};
use crate::exit::Ending;

/// The signals that mean something.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Takes them from their defaults, which would end the daemon without order.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn heed() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Turns them into messages: notes of the life cycle, each as rare as a signal.
    pub async fn pass_on(mut self, root: Addr<Root>) {
        loop {
            tokio::select! {
                Some(()) = self.terminate.recv() => root.do_send(Stop(Ending::Stopped)),
                Some(()) = self.interrupt.recv() => root.do_send(Stop(Ending::Stopped)),
                Some(()) = self.hang_up.recv() => root.do_send(Reload),
                else => return,
            }
        }
    }
}
