//! The calls of a closed loop.

use std::rc::Rc;
use std::time::Duration;

use super::peer::Peers;
use super::slots::{self, Limit};
use super::{BenchError, Measured};

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `NodeService.health`: RPC without storage.
    Health,
    /// `NodeService.enqueue` of a payload.
    Enqueue {
        /// Payload size, at least 16.
        bytes: usize,
    },
    /// `Session.send`: a body for all and a prefix for each recipient.
    Send {
        /// How many, at most 256.
        recipients: usize,
        /// Bytes of each recipient's own part.
        prefix: usize,
        /// Bytes of the common part, at least 16.
        body: usize,
    },
}

/// A closed loop of calls.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// What is called.
    pub call: Call,
    /// Connections to spread the calls over; at most as many as there are.
    pub connections: usize,
    /// Calls under way at once, over all connections.
    pub in_flight: usize,
    /// How long.
    pub time: Duration,
}

pub(super) async fn load(peers: Rc<Peers>, load: Load) -> Result<Measured, BenchError> {
    let connections = load.connections.clamp(1, peers.all.len());
    let call = move |slot: usize| {
        let peers = Rc::clone(&peers);
        async move {
            let peer = &peers.all[slot % connections];
            match load.call {
                Call::Health => peer.health().await,
                Call::Enqueue { bytes } => {
                    let (number, stamp) = peers.stamp();
                    peer.enqueue(
                        &peers.strangers[index(number, peers.strangers.len())],
                        bytes,
                        &stamp,
                    )
                    .await
                }
                Call::Send { recipients, prefix, body } => {
                    let (number, stamp) = peers.stamp();
                    let to = some(&peers, number, recipients);
                    peer.send(&to, prefix, body, &stamp).await
                }
            }
        }
    };
    slots::run(load.in_flight, Limit::Time(load.time), call).await
}

/// Different strangers with each number, as far as there are enough.
fn some(peers: &Peers, number: u64, count: usize) -> Vec<quicproquo_core::identity::IdentityKey> {
    let first = index(number.wrapping_mul(count as u64), peers.strangers.len());
    peers.strangers.iter().cycle().skip(first).take(count).copied().collect()
}

fn index(number: u64, len: usize) -> usize {
    usize::try_from(number % len as u64).unwrap_or_default()
}
