//! The calls that run on one connection, and the end of them.

use std::cell::Cell;
use std::rc::Rc;

use quicproquo_schemas::code::ErrorCode;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::errors::Fault;

/// Counts the calls that run. How many there may be is the transport's to say.
#[derive(Debug)]
pub(crate) struct Calls {
    count: Cell<usize>,
    draining: CancellationToken,
    ended: Notify,
}

impl Calls {
    pub(crate) fn new(draining: CancellationToken) -> Rc<Self> {
        Rc::new(Self { count: Cell::new(0), draining, ended: Notify::new() })
    }

    /// Admits one call, which ends when the guard is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> Result<Call, Fault> {
        if self.draining.is_cancelled() {
            return Err(Fault::new(ErrorCode::ShuttingDown, "the node is shutting down"));
        }
        self.count.set(self.count.get() + 1);
        Ok(Call(Rc::clone(self)))
    }

    /// Waits until no call is running.
    pub(crate) async fn idle(&self) {
        while self.count.get() > 0 {
            self.ended.notified().await;
        }
    }
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Call(Rc<Calls>);

impl Drop for Call {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_drain_refuses_new_calls_and_waits_for_those_that_run() {
        let draining = CancellationToken::new();
        let calls = Calls::new(draining.clone());
        let running = calls.enter().unwrap();
        draining.cancel();
        let refused: capnp::Error = calls.enter().unwrap_err().into();
        assert_eq!(ErrorCode::find(&refused.extra), Some(ErrorCode::ShuttingDown));
        let idle = calls.idle();
        tokio::pin!(idle);
        assert!(futures::poll!(&mut idle).is_pending());
        drop(running);
        idle.await;
    }
}
