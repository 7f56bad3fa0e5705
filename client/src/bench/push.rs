//! Rows that are pushed: how soon, and how many.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures::future::try_join_all;
use quicproquo_schemas::session_capnp::{row, sink, subscription};
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::peer::{Peer, Peers};
use super::{BenchError, Measured};
use crate::clock::Stopwatch;

/// How long rows may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);
/// The rate that warms up is not measured for so many rows.
const WARM_UP: usize = 20;

/// What has been pushed.
#[derive(Default)]
struct Pushed {
    /// Number of the stamp, and when it came.
    rows: RefCell<Vec<(Option<u64>, Duration)>>,
    /// How many of them are acknowledged.
    acked: Cell<usize>,
    failure: RefCell<Option<BenchError>>,
    more: Notify,
}

impl Pushed {
    /// Waits until so many rows have come and are acknowledged.
    async fn wait(&self, rows: usize) -> Result<(), BenchError> {
        let all = async {
            loop {
                if let Some(failure) = self.failure.borrow_mut().take() {
                    return Err(failure);
                }
                if self.acked.get() >= rows {
                    return Ok(());
                }
                self.more.notified().await;
            }
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| {
            let acked = self.acked.get();
            Err(BenchError::new(format_args!("{acked} of {rows} rows were pushed")))
        })
    }
}

/// Notes when rows come and acknowledges each page.
struct Ear {
    pushed: Rc<Pushed>,
    peers: Rc<Peers>,
    peer: Rc<Peer>,
    clock: Stopwatch,
}

impl sink::Server for Ear {
    async fn push(
        self: Rc<Self>,
        params: sink::PushParams,
        _: sink::PushResults,
    ) -> Result<(), capnp::Error> {
        let now = self.clock.elapsed();
        let mut last = None;
        let rows = params.get()?.get_rows()?;
        let count = rows.len() as usize;
        for row in rows {
            last = Some(row.get_seq());
            let number = match row.which()? {
                row::Payload(payload) => self.peers.number(payload?),
                row::Gap(_) => None,
            };
            self.pushed.rows.borrow_mut().push((number, now));
        }
        if let Some(last) = last {
            let ear = Rc::clone(&self);
            tokio::task::spawn_local(async move {
                match ear.peer.ack(last).await {
                    Ok(()) => ear.pushed.acked.set(ear.pushed.acked.get() + count),
                    Err(failure) => drop(ear.pushed.failure.borrow_mut().replace(failure)),
                }
                ear.pushed.more.notify_one();
            });
        }
        Ok(())
    }

    async fn displaced(
        self: Rc<Self>,
        _: sink::DisplacedParams,
        _: sink::DisplacedResults,
    ) -> Result<(), capnp::Error> {
        let failure = BenchError::new("another instance took over");
        self.pushed.failure.borrow_mut().replace(failure);
        self.pushed.more.notify_one();
        Ok(())
    }
}

async fn subscribe(
    peers: &Rc<Peers>,
    peer: &Rc<Peer>,
    clock: Stopwatch,
) -> Result<(Rc<Pushed>, subscription::Client), BenchError> {
    let pushed = Rc::new(Pushed::default());
    let ear =
        Ear { pushed: Rc::clone(&pushed), peers: Rc::clone(peers), peer: Rc::clone(peer), clock };
    let mut request = peer.session.subscribe_request();
    request.get().set_sink(capnp_rpc::new_client(ear));
    let subscription = request.send().promise.await?.get()?.get_subscription()?;
    Ok((pushed, subscription))
}

/// An open loop: calls at a fixed pace, whatever became of the ones before.
pub(super) async fn paced(
    peers: Rc<Peers>,
    multicast: bool,
    bytes: usize,
    per_second: u32,
    total: usize,
) -> Result<Measured, BenchError> {
    let [.., receiver, sender] = peers.all.as_slice() else {
        return Err(BenchError::new("a push takes two connections"));
    };
    let clock = Stopwatch::start();
    let (pushed, subscription) = subscribe(&peers, receiver, clock).await?;
    let mut ticks = interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut called = Vec::with_capacity(total + WARM_UP);
    let mut calls = Vec::with_capacity(total + WARM_UP);
    for _ in 0..total + WARM_UP {
        ticks.tick().await;
        let (number, stamp) = peers.stamp();
        let (sender, to) = (Rc::clone(sender), receiver.identity.key());
        called.push((number, clock.elapsed()));
        calls.push(tokio::task::spawn_local(async move {
            if multicast {
                sender.send(&[to], 0, bytes, &stamp).await
            } else {
                sender.enqueue(&to, bytes, &stamp).await
            }
        }));
    }
    for call in calls {
        call.await.map_err(BenchError::new)??;
    }
    pushed.wait(total + WARM_UP).await?;
    let elapsed = clock.elapsed();
    drop(subscription);
    let rows = pushed.rows.borrow();
    let nanos = called
        .iter()
        .zip(rows.iter())
        .skip(WARM_UP)
        .map(|((number, called), (came, at))| {
            if Some(*number) != *came {
                return Err(BenchError::new("rows came in another order than they were sent"));
            }
            Ok(u64::try_from(at.saturating_sub(*called).as_nanos()).unwrap_or(u64::MAX))
        })
        .collect::<Result<_, _>>()?;
    Ok(Measured { nanos, elapsed })
}

/// Takes rows out of queues as fast as they are pushed.
pub(super) async fn drain(
    peers: Rc<Peers>,
    members: usize,
    rows: usize,
) -> Result<Measured, BenchError> {
    let clock = Stopwatch::start();
    let drains = peers.all.iter().take(members).map(|peer| async {
        let (pushed, subscription) = subscribe(&peers, peer, clock).await?;
        pushed.wait(rows).await?;
        drop(subscription);
        // What was pushed meanwhile comes before this answer.
        peer.health().await?;
        let came = pushed.rows.borrow().len();
        pushed.wait(came).await?;
        Ok::<_, BenchError>(pushed)
    });
    let drained = try_join_all(drains).await?;
    let elapsed = clock.elapsed();
    let nanos = drained.iter().flat_map(|pushed| gaps(&pushed.rows.borrow())).collect();
    Ok(Measured { nanos, elapsed })
}

/// Time of each row since the page before its own.
fn gaps(rows: &[(Option<u64>, Duration)]) -> Vec<u64> {
    let (mut page, mut before) = (Duration::ZERO, Duration::ZERO);
    let gap = |(_, at): &(Option<u64>, Duration)| {
        if *at != page {
            before = std::mem::replace(&mut page, *at);
        }
        u64::try_from(page.saturating_sub(before).as_nanos()).unwrap_or(u64::MAX)
    };
    rows.iter().map(gap).collect()
}
