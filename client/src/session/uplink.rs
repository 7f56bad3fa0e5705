//! The session's end of its link to the node.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{self, BoxFuture};
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::Identity;
use quicproquo_schemas::id::{Instance, SendId};
use quicproquo_schemas::limits::{MAX_WINDOW_ROWS, PUSH_WINDOW_BYTES};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::actor::Actor;
use super::input::Input;
use super::outbox::RETRY;
use super::outgoing::Outgoing;
use super::pace::Pace;
use super::unit::Unit;
use crate::model::LinkState;
use crate::rpc::{Answer, Driver, LinkEvent, LinkSpec, Request, RpcError};

const EVENTS: usize = 64;
/// What a few rows wait for an acknowledgement, for more to come.
const ACK_PAUSE: Duration = Duration::from_millis(20);
/// A quarter of what a node pushes before it is acknowledged ([`MAX_WINDOW_ROWS`],
/// [`PUSH_WINDOW_BYTES`]): so much is acknowledged at once.
const ACK_ROWS: u64 = MAX_WINDOW_ROWS as u64 / 4;
const ACK_BYTES: usize = PUSH_WINDOW_BYTES / 4;
/// What the last one may take, when a session ends.
const LAST_ACK: Duration = Duration::from_millis(500);
/// Longest time that the backlog holds up the outbox: under constant inflow it is never empty.
const DRAIN: Duration = Duration::from_secs(30);

/// Requests out, events in.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not one state")]
pub(super) struct Uplink {
    driver: Driver,
    identity: Arc<Identity>,
    incarnation: u64,
    instance: Instance,
    invite: Option<Arc<str>>,
    attempts: Arc<AtomicU64>,
    stop: CancellationToken,
    requests: mpsc::UnboundedSender<Request>,
    pub(super) events: mpsc::Receiver<LinkEvent>,
    pub(super) state: LinkState,
    pub(super) up: bool,
    /// Which link this is: timers and answers of an earlier one no longer count.
    pub(super) number: u64,
    /// The backlog comes before the outbox.
    pub(super) draining: bool,
    pub(super) pace: Pace,
    acks: Acks,
    /// How far our clock is from the node's, in seconds, when that is too far; else 0.
    pub(super) clock_ahead: i64,
    /// Key packages of every suite are at the node.
    pub(super) published: bool,
    /// The stock of key packages is being refilled.
    pub(super) filling: bool,
    /// Groups in which something may go on now that the link is up.
    pub(super) wake: BTreeSet<GroupId>,
    /// The link has ended and will not come back by itself.
    pub(super) over: bool,
    /// The state in memory is not to be trusted.
    pub(super) broken: bool,
}

impl Uplink {
    pub(super) fn new(
        driver: Driver,
        identity: Arc<Identity>,
        incarnation: u64,
        instance: Instance,
        invite: Option<Arc<str>>,
    ) -> Self {
        Self {
            driver,
            identity,
            incarnation,
            instance,
            invite,
            attempts: Arc::default(),
            stop: CancellationToken::new(),
            requests: mpsc::unbounded_channel().0,
            events: mpsc::channel(1).1,
            state: LinkState::Connecting,
            up: false,
            number: 0,
            draining: false,
            pace: Pace::new(),
            acks: Acks::default(),
            clock_ahead: 0,
            published: false,
            filling: false,
            wake: BTreeSet::new(),
            over: false,
            broken: false,
        }
    }

    /// Opens a new link, unless the session stands still.
    pub(super) fn open(&mut self) {
        self.broken = false;
        if self.state.is_halted() {
            return;
        }
        let (requests, taken) = mpsc::unbounded_channel();
        let (sender, events) = mpsc::channel(EVENTS);
        self.requests = requests;
        self.events = events;
        self.stop = CancellationToken::new();
        self.state = LinkState::Connecting;
        self.up = false;
        self.number += 1;
        self.over = false;
        self.driver.open(LinkSpec {
            identity: Arc::clone(&self.identity),
            incarnation: self.incarnation,
            instance: self.instance,
            invite: self.invite.clone(),
            attempts: Arc::clone(&self.attempts),
            requests: taken,
            events: sender,
            stop: self.stop.clone(),
        });
    }

    /// What came while the session was away has been taken, or has taken too long.
    pub(super) fn has_read_backlog(&self) -> bool {
        self.up && !self.draining
    }

    pub(super) fn close(&mut self) {
        self.stop.cancel();
        self.up = false;
    }

    /// Sends a request that knows where its answer goes.
    pub(super) fn pass(&self, request: Request) {
        // A link that is gone drops the request, and so tells its caller.
        let _ = self.requests.send(request);
    }

    /// Sends a request; its answer becomes an input.
    pub(super) fn ask<T: Send + 'static>(
        &self,
        make: impl FnOnce(Answer<T>) -> Request,
        input: impl FnOnce(Result<T, RpcError>) -> Input + Send + 'static,
    ) -> BoxFuture<'static, Input> {
        let (answer, answered) = oneshot::channel();
        let _ = self.requests.send(make(answer));
        async move {
            let gone = || Err(RpcError::Unavailable("the link is gone".into()));
            input(answered.await.unwrap_or_else(|_| gone()))
        }
        .boxed()
    }
}

/// Acknowledgements of this link: one at a time, since each is a transaction of the node, and not for
/// each row: nobody waits for them but the rows that the window keeps back.
#[derive(Debug, Default)]
struct Acks {
    /// The node has taken it up to here.
    up_to: u64,
    /// One is on its way, or waits to be tried again.
    out: bool,
    /// A pause has begun, after which one leaves.
    paused: bool,
    /// The pause is over.
    due: bool,
    /// Bytes of the rows that have come since the last one left.
    bytes: usize,
}

impl Acks {
    fn from(up_to: u64) -> Self {
        Self { up_to, ..Self::default() }
    }

    /// Whether one for the rows up to here is to leave now.
    fn is_due(&self, received_up_to: u64) -> bool {
        self.due || received_up_to - self.up_to >= ACK_ROWS || self.bytes >= ACK_BYTES
    }
}

impl Actor {
    /// After a commit, acknowledges what is received and durable. `true`: an acknowledgement has
    /// left.
    pub(super) fn acknowledge(&mut self) -> bool {
        let (up_to, link) = (self.positions.received_up_to, self.uplink.number);
        let acks = &mut self.uplink.acks;
        if !self.uplink.up || acks.out || up_to <= acks.up_to {
            return false;
        }
        if !acks.is_due(up_to) && !self.clock.acknowledges_at_once() {
            if !std::mem::replace(&mut acks.paused, true) {
                self.after(ACK_PAUSE, Input::AckDue { link });
            }
            return false;
        }
        *acks = Acks { out: true, paused: acks.paused, ..Acks::from(acks.up_to) };
        let ack = |answer| Request::Ack { up_to, answer };
        let acked = move |result| Input::Acked { link, up_to, result };
        self.jobs.push(self.uplink.ask(ack, acked));
        true
    }

    /// Before a session stops: what was read does not wait at the node until it comes back.
    pub(super) async fn acknowledge_last(&mut self) {
        let up_to = self.positions.received_up_to;
        if !self.uplink.up || up_to <= self.uplink.acks.up_to {
            return;
        }
        let ack = self.uplink.ask(|answer| Request::Ack { up_to, answer }, |_| Input::Nothing);
        // What does not arrive comes again.
        let _ = future::select(ack, self.clock.pause(LAST_ACK).boxed()).await;
    }

    /// The next one leaves when this unit is durable.
    pub(super) fn acked(&mut self, up_to: u64, result: &Result<(), RpcError>) {
        match result {
            Ok(()) => {
                self.uplink.acks.up_to = up_to;
                self.uplink.acks.out = false;
            }
            Err(_) => self.after(RETRY, Input::AckAgain { link: self.uplink.number }),
        }
    }

    pub(super) fn ack_again(&mut self) {
        self.uplink.acks.out = false;
        self.uplink.acks.due = true;
    }

    /// The pause of acknowledgements is over.
    pub(super) fn ack_due(&mut self) {
        let acks = &mut self.uplink.acks;
        acks.paused = false;
        // What had come was acknowledged before, if enough had.
        acks.due = self.positions.received_up_to > acks.up_to;
    }

    /// A row of so many bytes has come.
    pub(super) fn count_bytes(&mut self, bytes: usize) {
        self.uplink.acks.bytes += bytes;
    }

    pub(super) fn link_up(&mut self, last_send: SendId, acked_up_to: u64, unit: &mut Unit) {
        unit.moved = true;
        let last_send =
            Some(last_send.counter).filter(|_| last_send.incarnation == self.incarnation);
        self.outbox.values_mut().for_each(Outgoing::relink);
        self.reach.clear();
        if self.positions.are_behind(last_send, acked_up_to) {
            self.start_over(last_send.unwrap_or_default(), acked_up_to, unit);
        }
        self.positions.sent_below = None;
        self.uplink.up = true;
        self.uplink.draining = true;
        self.uplink.number += 1;
        self.uplink.pace = Pace::new();
        self.uplink.acks = Acks::from(acked_up_to);
        self.after(DRAIN, Input::DrainedLongEnough { link: self.uplink.number });
        self.uplink.state = LinkState::Up;
        self.ask_drained();
        self.upload_hybrid();
        let stock = |answer| Request::KeyPackageStock { answer };
        let input = |result| Input::Stock { replaced: None, result };
        self.jobs.push(self.uplink.ask(stock, input));
        self.wake_intents();
        self.ask_names();
    }

    /// Lets every group with an open intent go on.
    fn wake_intents(&mut self) {
        self.uplink.wake.extend(self.intents.values().map(|intent| intent.group.clone()));
    }

    /// The backlog of this link is read, or has taken too long.
    pub(super) fn backlog_read(&mut self, unit: &mut Unit) {
        self.uplink.draining = false;
        self.wake_intents();
        self.doubt_buffered(unit);
        self.plan_asks(unit.now_ms);
    }

    /// Displaced, or the task of the link is gone.
    pub(super) fn link_over(&mut self) {
        self.positions.link_gone();
        self.uplink.over = true;
        self.uplink.up = false;
        if !self.uplink.state.is_halted() {
            tracing::error!("the link has ended unexpectedly");
            self.uplink.state = LinkState::Connecting;
            self.after(RETRY, Input::OpenLink);
        }
    }

    pub(super) fn link_down(&mut self) {
        self.positions.link_gone();
        self.uplink.up = false;
        self.uplink.state = LinkState::Connecting;
    }

    /// Asks whether the backlog is empty.
    pub(super) fn ask_drained(&self) {
        let (after, link) = (self.positions.received_up_to, self.uplink.number);
        let drained = |answer| Request::Drained { after, answer };
        self.jobs.push(self.uplink.ask(drained, move |result| Input::Drained { link, result }));
    }
}
