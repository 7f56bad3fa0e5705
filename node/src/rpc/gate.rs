//! What a connection has earned: small frames and windows at first, full ones once it has proved
//! a key or shown a valid access token.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::Instance;
use quicproquo_transport::{Budget, CallLimit, FrameLimit, Link, Rules};
use quinn::VarInt;
use tokio::sync::Notify;

use super::errors::Fault;
use crate::addresses::Seat;
use crate::config::TransportLimits;

/// Capabilities in one message; `subscribe` has one.
const CAPABILITIES: u32 = 16;
/// Refused calls that a client may leave unfinished.
const REFUSED: usize = 1024;
/// Time for the calls of a displaced Session to be told so.
pub(super) const LAST_CALLS: Duration = Duration::from_secs(1);

/// What the transport allows a new connection.
pub(crate) fn rules(limits: &TransportLimits, first_calls: &Budget) -> Rules {
    Rules {
        frames: FrameLimit {
            bytes: limits.frame_before_auth,
            lent: Some((limits.first_call_frame, first_calls.clone())),
        },
        calls: Some(CallLimit {
            in_flight: limits.calls_in_flight,
            patience: limits.call_patience,
            refused: REFUSED,
        }),
        refusal: format!("{}: too many calls in flight", ErrorCode::RateLimited),
        capabilities: CAPABILITIES,
        unsent_bytes: limits.unsent_before_auth,
        stalled: limits.stalled,
        lent_frame: limits.first_call_time,
    }
}

/// One connection's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    seat: Seat,
    link: Link,
    connection: quinn::Connection,
    limits: TransportLimits,
    open: Cell<bool>,
    /// Live Sessions on this connection.
    sessions: Cell<usize>,
    displaced: RefCell<Option<Instance>>,
    dismissed: Notify,
}

impl Gate {
    pub(crate) fn new(
        seat: Seat,
        link: Link,
        connection: quinn::Connection,
        limits: &TransportLimits,
    ) -> Rc<Self> {
        Rc::new(Self {
            seat,
            link,
            connection,
            limits: limits.clone(),
            open: Cell::new(false),
            sessions: Cell::new(0),
            displaced: RefCell::new(None),
            dismissed: Notify::new(),
        })
    }

    /// Fails when the address has as many connections behind their gates as it may. To be asked
    /// before something is done that [`Gate::open`] comes too late for.
    pub(super) fn check(&self) -> Result<(), Fault> {
        if self.seat.may_authenticate() {
            return Ok(());
        }
        Err(Fault::new(ErrorCode::RateLimited, "too many connections from this address"))
    }

    /// The caller has proved a key or shown a valid token.
    pub(super) fn open(&self) -> Result<(), Fault> {
        if self.open.get() {
            return Ok(());
        }
        if !self.seat.authenticate() {
            return self.check();
        }
        self.open.set(true);
        let TransportLimits { frame, unsent, receive_window, send_window, .. } = &self.limits;
        self.link.set_frame_limit(FrameLimit::plain(*frame));
        self.link.raise_unsent_limit(*unsent);
        self.connection.set_receive_window(VarInt::from_u32(*receive_window));
        self.connection.set_send_window(u64::from(*send_window));
        Ok(())
    }

    /// The transport of this connection.
    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// A Session begins.
    pub(super) fn enter(self: &Rc<Self>) -> LiveSession {
        self.sessions.set(self.sessions.get() + 1);
        LiveSession(Rc::clone(self))
    }

    /// A displaced Session was the connection's last.
    pub(super) fn dismiss(&self, by: Instance) {
        if self.sessions.get() == 0 {
            self.displaced.replace(Some(by));
            self.dismissed.notify_one();
        }
    }

    /// Waits until the connection is to be closed for the sake of the one that displaced it.
    pub(crate) async fn dismissed(&self) -> Instance {
        loop {
            self.dismissed.notified().await;
            if let Some(by) = *self.displaced.borrow() {
                return by;
            }
        }
    }
}

/// A live Session on this connection, until it is dropped.
#[derive(Debug)]
pub(super) struct LiveSession(Rc<Gate>);

impl Drop for LiveSession {
    fn drop(&mut self) {
        self.0.sessions.set(self.0.sessions.get() - 1);
    }
}
