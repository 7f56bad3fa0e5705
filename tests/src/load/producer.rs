//! Sends without end, each message until it is answered.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use quicproquo_schemas::id::IdentityKey;
use tokio::time::sleep;

use super::ledger::HEADER;
use super::{MessageId, RETRY, Shared};
use crate::rpc::{Fault, Link, Sent, Session, Who};

/// A message that is made once and repeated word for word.
#[derive(Debug, Clone)]
struct Parcel {
    id: MessageId,
    recipients: Vec<u16>,
    deliveries: Vec<(IdentityKey, Vec<u8>)>,
    body: Vec<u8>,
    /// What the node has said of it, before this connection.
    kept: Option<Sent>,
}

/// One sender.
#[derive(Debug)]
pub(super) struct Producer {
    name: String,
    number: u16,
    who: Who,
    rng: fastrand::Rng,
    shared: Rc<Shared>,
    counter: u64,
    unanswered: VecDeque<Parcel>,
    /// The newest that was answered.
    answered: Option<Parcel>,
}

impl Producer {
    pub(super) fn new(number: u16, rng: fastrand::Rng, shared: Rc<Shared>) -> Self {
        Self {
            name: format!("producer {number}"),
            number,
            who: Who::new(number),
            rng,
            shared,
            counter: 0,
            unanswered: VecDeque::new(),
            answered: None,
        }
    }

    /// Sends until the load settles.
    pub(super) async fn run(mut self) {
        let over = self.shared.over.clone();
        over.run_until_cancelled(async {
            while let Err(fault) = self.connection().await {
                self.shared.recover(&self.name, fault).await;
            }
            self.shared.producing.fetch_sub(1, Ordering::SeqCst);
        })
        .await;
    }

    /// Ready when nothing is left to send.
    async fn connection(&mut self) -> Result<(), Fault> {
        let link = self.shared.dialer.dial().await?;
        if self.number.is_multiple_of(2) {
            self.multicast(&link).await
        } else {
            self.enqueue(&link).await
        }
    }

    async fn multicast(&mut self, link: &Link) -> Result<(), Fault> {
        let session = link.authenticate(&mut self.who).await?;
        self.look_back(&session).await?;
        let mut answers: FuturesOrdered<_> =
            self.unanswered.iter().map(|parcel| send(&session, parcel)).collect();
        loop {
            while answers.len() < self.shared.spec.window
                && let Some(parcel) = self.next()
            {
                answers.push_back(send(&session, &parcel));
                self.unanswered.push_back(parcel);
            }
            let Some(answer) = answers.next().await else {
                if self.shared.settling.is_cancelled() {
                    return Ok(());
                }
                sleep(RETRY).await;
                continue;
            };
            self.answer(answer?);
        }
    }

    async fn enqueue(&mut self, link: &Link) -> Result<(), Fault> {
        let session = link.authenticate(&mut self.who).await?;
        let token = session.token().await?;
        let one = async |parcel: &Parcel| {
            let (to, prefix) = &parcel.deliveries[0];
            let payload = [prefix.as_slice(), &parcel.body].concat();
            Ok::<_, Fault>(vec![Some(session.enqueue(&token, *to, &payload).await?)])
        };
        if let Some(last) = &self.answered {
            let again = one(last).await?;
            self.must_be_kept(last, &again);
        }
        loop {
            if self.unanswered.is_empty() {
                match self.next() {
                    Some(parcel) => self.unanswered.push_back(parcel),
                    None if self.shared.settling.is_cancelled() => return Ok(()),
                    None => sleep(RETRY).await,
                }
            }
            if let Some(parcel) = self.unanswered.front() {
                let sent = one(parcel).await?;
                self.answer(sent);
            }
        }
    }

    /// What the node knows of what was sent before: the last answer word for word, and nothing
    /// less than was answered.
    async fn look_back(&mut self, session: &Session) -> Result<(), Fault> {
        if let Some(last) = &self.answered {
            if session.last_send < last.id.counter {
                let text = format!("{} is forgotten: {}", last.id, session.last_send);
                self.shared.ledger().fault(text);
            }
            let again = send(session, last).await?;
            self.must_be_kept(last, &again);
        }
        for at in 0..self.unanswered.len() {
            self.shared.ledger().replay();
            let known = session.send_result(self.unanswered[at].id.counter).await?;
            self.unanswered[at].kept = known;
        }
        Ok(())
    }

    fn must_be_kept(&self, parcel: &Parcel, again: &Sent) {
        if parcel.kept.as_ref() != Some(again) {
            let text = format!("{} was answered {:?}, then {again:?}", parcel.id, parcel.kept);
            self.shared.ledger().fault(text);
        }
    }

    /// The oldest unanswered one is answered.
    fn answer(&mut self, sent: Sent) {
        let Some(mut parcel) = self.unanswered.pop_front() else {
            return;
        };
        if parcel.kept.is_some() {
            self.must_be_kept(&parcel, &sent);
        }
        let mut ledger = self.shared.ledger();
        if sent.len() != parcel.recipients.len() {
            ledger.fault(format!("{} has {} results", parcel.id, sent.len()));
        }
        for (to, seq) in parcel.recipients.iter().zip(&sent) {
            match seq {
                Some(seq) => ledger.answer(*to, parcel.id, *seq),
                None => ledger.fault(format!("{}: the queue of {to} is full", parcel.id)),
            }
        }
        drop(ledger);
        parcel.kept = Some(sent);
        self.answered = Some(parcel);
    }

    /// Makes the next message, unless the load settles or a recipient is far behind.
    fn next(&mut self) -> Option<Parcel> {
        let spec = &self.shared.spec;
        if self.shared.settling.is_cancelled() {
            return None;
        }
        let mut recipients: Vec<u16> = (0..spec.recipients).collect();
        self.rng.shuffle(&mut recipients);
        let most = if self.number.is_multiple_of(2) { recipients.len() } else { 1 };
        recipients.truncate(self.rng.usize(1..=most));
        let far_behind = |to: &u16| self.shared.ledger().backlog(*to) >= spec.backlog;
        if recipients.iter().any(far_behind) {
            return None;
        }
        self.counter += 1;
        let id = MessageId { producer: self.number, counter: self.counter };
        let body = id.filler(self.rng.usize(1..=spec.bytes.saturating_sub(HEADER).max(1)));
        let identity = |to: u16| self.shared.recipients[usize::from(to)];
        let deliveries = recipients.iter().map(|to| (identity(*to), id.header(*to))).collect();
        Some(Parcel { id, recipients, deliveries, body, kept: None })
    }
}

fn send(session: &Session, parcel: &Parcel) -> impl Future<Output = Result<Sent, Fault>> + use<> {
    session.send(parcel.id.counter, &parcel.deliveries, &parcel.body)
}
