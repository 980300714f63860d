//! Who is asked whether it is there: each answers when its turn comes, so what it works on counts.

use actix::Handler;

use super::actor::Ping;
use crate::actors::ingest::Ingest;
use crate::actors::peers::PeersActor;
use crate::actors::query::QueryActor;
use crate::actors::root::Root;
use crate::actors::socket::Socket;
use crate::actors::spool::Spool;
use crate::actors::store::StoreActor;
use crate::actors::worker::Worker;

macro_rules! answer {
    ($($actor:ty),+ $(,)?) => {$(
        impl Handler<Ping> for $actor {
            type Result = ();

            fn handle(&mut self, _: Ping, _: &mut Self::Context) {}
        }
    )+};
}

answer!(Root, Socket, Ingest, Worker, Spool, StoreActor, QueryActor, PeersActor);
