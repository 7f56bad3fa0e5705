//! A bare QUIC echo.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use futures::future::try_join_all;
use quinn::Connection;
use tokio::sync::Notify;
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
    let _ = send.finish();
    // What is still on its way would be lost with the connection.
    connection.closed().await;
}

/// Writes and reads at the same time: what is under way may be more than the windows hold.
async fn round_trips(
    connection: &Connection,
    clock: Stopwatch,
    time: Duration,
    depth: usize,
    bytes: usize,
) -> Result<Vec<u64>, FloorError> {
    let streams = connection.open_bi().await;
    let (mut send, mut receive) = streams.map_err(|error| FloorError::quic(&error))?;
    let under_way = RefCell::new(VecDeque::with_capacity(depth));
    let answered = Notify::new();
    let write = async {
        let message = vec![0x5a; bytes];
        while clock.elapsed() < time {
            if under_way.borrow().len() >= depth {
                answered.notified().await;
                continue;
            }
            under_way.borrow_mut().push_back(clock.elapsed());
            send.write_all(&message).await.map_err(|error| FloorError::quic(&error))?;
        }
        send.finish().map_err(|error| FloorError::quic(&error))
    };
    let read = async {
        let mut answer = vec![0; bytes];
        let (mut nanos, mut came) = (Vec::new(), 0);
        // The echo ends its stream after ours.
        while let Some(read) =
            receive.read(&mut answer).await.map_err(|error| FloorError::quic(&error))?
        {
            let whole = (came + read) / bytes - came / bytes;
            came += read;
            nanos.extend(
                under_way.borrow_mut().drain(..whole).map(|started| clock.nanos_since(started)),
            );
            answered.notify_one();
        }
        Ok::<_, FloorError>(nanos)
    };
    let ((), nanos) = tokio::try_join!(write, read)?;
    Ok(nanos)
}
