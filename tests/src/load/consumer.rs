//! Takes rows without end, and acknowledges them.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::sleep;

use super::{Shared, recipient};
use crate::rpc::{Fault, Link, Pushed, Who};

/// Rows that may wait for their acknowledgement.
const UNACKNOWLEDGED: usize = 100;

/// After so long without rows, everything is acknowledged.
const QUIET: Duration = Duration::from_millis(50);

/// One fetch waits so long.
const WAIT: Duration = Duration::from_millis(300);

/// One recipient.
#[derive(Debug)]
pub(super) struct Consumer {
    name: String,
    number: u16,
    who: Who,
    rng: fastrand::Rng,
    shared: Rc<Shared>,
}

impl Consumer {
    pub(super) fn new(number: u16, rng: fastrand::Rng, shared: Rc<Shared>) -> Self {
        let name = format!("recipient {number}");
        Self { name, number, who: recipient(number), rng, shared }
    }

    /// Takes rows until the load is over.
    pub(super) async fn run(mut self) {
        let over = self.shared.over.clone();
        over.run_until_cancelled(async {
            loop {
                let Err(fault) = self.connection().await;
                self.shared.recover(&self.name, fault).await;
            }
        })
        .await;
    }

    async fn connection(&mut self) -> Result<std::convert::Infallible, Fault> {
        let link = self.shared.dialer.dial().await?;
        if self.number.is_multiple_of(2) || self.shared.spec.keep > 0 {
            self.subscribe(&link).await
        } else {
            self.fetch(&link).await
        }
    }

    async fn subscribe(&mut self, link: &Link) -> Result<std::convert::Infallible, Fault> {
        let session = link.authenticate(&mut self.who).await?;
        self.shared.ledger().check_position(self.number, session.acked_up_to);
        let mut subscription = session.subscribe().await?;
        let keep = self.shared.spec.keep;
        let mut waiting = VecDeque::new();
        let mut quiet = false;
        loop {
            tokio::select! {
                rows = subscription.rows.recv() => {
                    let rows = rows.ok_or_else(|| Fault::Gone("no more rows".to_owned()))?;
                    self.take(&rows);
                    waiting.extend(rows.iter().map(Pushed::seq));
                    quiet = false;
                }
                () = sleep(QUIET), if !quiet => quiet = true,
                () = link.closed() => return Err(Fault::Gone("closed".to_owned())),
            }
            if self.shared.held.load(Ordering::Relaxed) {
                quiet = false;
                continue;
            }
            let many = waiting.len() >= keep + UNACKNOWLEDGED;
            if waiting.len() > keep && (many || quiet || self.rng.bool()) {
                let mut taken = waiting.drain(..waiting.len() - keep);
                let up_to = taken.next_back().unwrap_or_default();
                drop(taken);
                self.shared.ledger().acknowledging(self.number, up_to);
                session.ack(up_to).await?;
                self.shared.ledger().settle(self.number, up_to);
            }
        }
    }

    /// Writes rows down.
    fn take(&self, rows: &[Pushed]) {
        let mut ledger = self.shared.ledger();
        for row in rows {
            match row {
                Pushed::Row(seq, payload) => ledger.deliver(self.number, *seq, payload),
                Pushed::Gap(seq, lost) => ledger.gap(self.number, *seq, *lost),
            }
        }
    }

    async fn fetch(&mut self, link: &Link) -> Result<std::convert::Infallible, Fault> {
        let session = link.authenticate(&mut self.who).await?;
        let token = session.token().await?;
        let mut leased = 0;
        loop {
            let limit = if self.rng.bool() { 0 } else { self.rng.u32(1..=64) };
            self.shared.ledger().acknowledging(self.number, leased);
            let rows = session.fetch_wait(&token, self.who.identity(), limit, WAIT).await?;
            let mut ledger = self.shared.ledger();
            ledger.settle(self.number, leased);
            for (seq, payload) in rows {
                ledger.deliver(self.number, seq, &payload);
                leased = leased.max(seq);
            }
        }
    }
}
