//! Bare capnp-rpc over QUIC: the crate's own two-party network on buffered streams, and a method
//! that does nothing.

use std::rc::Rc;
use std::time::Duration;

use capnp::message::ReaderOptions;
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{RpcSystem, twoparty};
use futures::io::{BufReader, BufWriter};
use quicproquo_schemas::node_capnp::node_service;
use quinn::{Connection, RecvStream, SendStream};
use tokio_util::compat::{TokioAsyncReadCompatExt, TokioAsyncWriteCompatExt};

use super::quic::with_server;
use super::{Figures, FloorError, Shape};
use crate::clock::Stopwatch;

const BUFFER: usize = 16 * 1024;

/// Calls a method over one stream of each connection, for `time`. Blocks the caller, whose thread
/// is the client's.
pub fn rpc_ping(shape: Shape, time: Duration) -> Result<Figures, FloorError> {
    with_server(shape.connections, serve, async |connections| {
        let mut clients = Vec::with_capacity(connections.len());
        for connection in &connections {
            let streams = connection.open_bi().await;
            let (send, receive) = streams.map_err(|error| FloorError::quic(&error))?;
            let mut system = RpcSystem::new(Box::new(network(send, receive, Side::Client)), None);
            clients.push(system.bootstrap::<node_service::Client>(Side::Server));
            tokio::task::spawn_local(system);
        }
        let clock = Stopwatch::start();
        let slots: Vec<_> = clients
            .iter()
            .enumerate()
            .flat_map(|(at, client)| std::iter::repeat_n(client, shape.depth(at)))
            .map(|client| tokio::task::spawn_local(pings(client.clone(), clock, time)))
            .collect();
        let mut nanos = Vec::new();
        for slot in slots {
            nanos.append(&mut slot.await.map_err(|error| FloorError::quic(&error))??);
        }
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
}

async fn pings(
    client: node_service::Client,
    clock: Stopwatch,
    time: Duration,
) -> Result<Vec<u64>, FloorError> {
    let mut nanos = Vec::new();
    loop {
        let started = clock.elapsed();
        if started >= time {
            return Ok(nanos);
        }
        client.health_request().send().promise.await?;
        nanos.push(clock.nanos_since(started));
    }
}

struct Pong;

impl node_service::Server for Pong {
    async fn health(
        self: Rc<Self>,
        _: node_service::HealthParams,
        mut results: node_service::HealthResults,
    ) -> capnp::Result<()> {
        results.get().set_status("ok");
        Ok(())
    }
}

async fn serve(connection: Connection) {
    if let Ok((send, receive)) = connection.accept_bi().await {
        let pong: node_service::Client = capnp_rpc::new_client(Pong);
        let system =
            RpcSystem::new(Box::new(network(send, receive, Side::Server)), Some(pong.client));
        // Ends with the client.
        let _ = system.await;
    }
}

fn network(
    send: SendStream,
    receive: RecvStream,
    side: Side,
) -> twoparty::VatNetwork<impl futures::AsyncRead + Unpin> {
    twoparty::VatNetwork::new(
        BufReader::with_capacity(BUFFER, receive.compat()),
        BufWriter::with_capacity(BUFFER, send.compat_write()),
        side,
        ReaderOptions::new(),
    )
}
