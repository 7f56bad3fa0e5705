//! A bare QUIC echo.

use std::collections::VecDeque;
use std::time::Duration;

use futures::future::try_join_all;
use quinn::Connection;
use tokio::time::interval;

use super::quic::with_server;
use super::{Figures, FloorError, Shape};
use crate::clock::Stopwatch;

/// Sends `bytes` over one stream of each connection and waits for them to come back, for `time`.
/// Blocks the caller, whose thread is the client's.
pub fn quic_echo(shape: Shape, time: Duration, bytes: usize) -> Result<Figures, FloorError> {
    with_server(shape.connections, echo, async |connections| {
        let clock = Stopwatch::start();
        let all = connections
            .iter()
            .enumerate()
            .map(|(at, connection)| round_trips(connection, clock, time, shape.depth(at), bytes));
        let nanos = try_join_all(all).await?.concat();
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
}

/// Sends `bytes` each `pace` and waits for them to come back, for `time`. Blocks the caller.
pub fn quic_echo_paced(
    pace: Duration,
    time: Duration,
    bytes: usize,
) -> Result<Figures, FloorError> {
    with_server(1, echo, async |connections| {
        let clock = Stopwatch::start();
        let mut nanos = Vec::new();
        let Some(connection) = connections.first() else {
            return Ok(Figures::default());
        };
        let streams = connection.open_bi().await;
        let (mut send, mut receive) = streams.map_err(|error| FloorError::quic(&error))?;
        let (message, mut answer) = (vec![0x5a; bytes], vec![0; bytes]);
        let mut ticks = interval(pace);
        while clock.elapsed() < time {
            ticks.tick().await;
            let started = clock.elapsed();
            send.write_all(&message).await.map_err(|error| FloorError::quic(&error))?;
            receive.read_exact(&mut answer).await.map_err(|error| FloorError::quic(&error))?;
            nanos.push(clock.nanos_since(started));
        }
        Ok(Figures { nanos, elapsed: clock.elapsed() })
    })
}

async fn echo(connection: Connection) {
    let Ok((mut send, mut receive)) = connection.accept_bi().await else {
        return;
    };
    while let Ok(Some(chunk)) = receive.read_chunk(usize::MAX, true).await {
        if send.write_chunk(chunk.bytes).await.is_err() {
            return;
        }
    }
}

async fn round_trips(
    connection: &Connection,
    clock: Stopwatch,
    time: Duration,
    depth: usize,
    bytes: usize,
) -> Result<Vec<u64>, FloorError> {
    let streams = connection.open_bi().await;
    let (mut send, mut receive) = streams.map_err(|error| FloorError::quic(&error))?;
    let message = vec![0x5a; bytes];
    let mut answer = vec![0; bytes];
    let mut under_way = VecDeque::with_capacity(depth);
    let mut nanos = Vec::new();
    let (mut sent, mut came) = (0, 0);
    // What has come is sent again at once: all of it together, as it came.
    let mut missing = depth;
    loop {
        if clock.elapsed() < time {
            for _ in 0..missing {
                under_way.push_back(clock.elapsed());
                send.write_all(&message).await.map_err(|error| FloorError::quic(&error))?;
            }
            sent += missing * bytes;
        }
        if came == sent {
            return Ok(nanos);
        }
        let read = receive.read(&mut answer).await.map_err(|error| FloorError::quic(&error))?;
        let before = came / bytes;
        came += read.ok_or_else(|| FloorError::quic(&"the stream ended"))?;
        missing = came / bytes - before;
        nanos.extend(under_way.drain(..missing).map(|started| clock.nanos_since(started)));
    }
}
