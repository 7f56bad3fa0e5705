//! What the node has answered and what it has delivered, and whether the two agree.

use std::collections::HashMap;
use std::fmt;

/// Faults that are written down; more are only counted.
const WRITTEN: usize = 20;

/// Bytes in front of a payload: magic, producer, recipient, counter.
pub(crate) const HEADER: usize = 16;

const MAGIC: &[u8; 4] = b"qpqL";

/// A message: who made it, and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MessageId {
    /// The producer.
    pub producer: u16,
    /// Counts from 1.
    pub counter: u64,
}

impl MessageId {
    /// The recipient's own part of the payload.
    pub fn header(self, recipient: u16) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.producer.to_be_bytes());
        bytes.extend(recipient.to_be_bytes());
        bytes.extend(self.counter.to_be_bytes());
        bytes
    }

    /// The rest: bytes that follow from the id, so that damage shows.
    pub fn filler(self, len: usize) -> Vec<u8> {
        let seed = self.counter ^ (u64::from(self.producer) << 48);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut bytes = vec![0; len];
        rng.fill(&mut bytes);
        bytes
    }

    /// Reads a payload back.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(payload: &[u8], recipient: u16) -> Result<Self, &'static str> {
        let (header, filler) = payload.split_at_checked(HEADER).ok_or("a payload too short")?;
        if &header[..4] != MAGIC {
            return Err("a payload that nobody sent");
        }
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let counter = header[8..].iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        let id = Self { producer: number(4), counter };
        if number(6) != recipient {
            return Err("a payload of somebody else");
        }
        if id.filler(filler.len()) != filler {
            return Err("a payload with other bytes than were sent");
        }
        Ok(id)
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.producer, self.counter)
    }
}

/// One recipient's queue as its clients know it.
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// Rows whose producer has the node's answer: their positions.
    pub answered: HashMap<MessageId, u64>,
    /// Rows that were delivered: their positions.
    pub delivered: HashMap<MessageId, u64>,
    /// Rows up to here may have been removed: an acknowledgement has left.
    pub acknowledging: u64,
    /// Rows up to here are removed: the node has said so.
    pub settled: u64,
    newest: u64,
    order: HashMap<u16, u64>,
}

impl Queue {
    fn missing(&self) -> usize {
        self.answered.keys().filter(|id| !self.delivered.contains_key(id)).count()
    }
}

/// All queues of a run.
#[derive(Debug)]
pub struct Ledger {
    queues: Vec<Queue>,
    answered: u64,
    delivered: u64,
    repeated: u64,
    replayed: u64,
    wrong: Vec<String>,
    faults: u64,
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// Rows that the node has taken, by its own word.
    pub answered: u64,
    /// Different rows that it delivered.
    pub delivered: u64,
    /// Deliveries of a row that had come before and was not acknowledged.
    pub repeated: u64,
    /// Requests that were made again after a reconnect.
    pub replayed: u64,
    /// Rows that were answered for and never came.
    pub lost: u64,
    /// Everything else that broke a promise; a sample.
    pub wrong: Vec<String>,
    /// How many.
    pub faults: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} rows answered, {} delivered, {} lost, {} faults ({} deliveries and {} requests \
             were repeated)",
            self.answered, self.delivered, self.lost, self.faults, self.repeated, self.replayed
        )
    }
}

impl Report {
    /// Panics unless every promise was kept.
    pub fn assert_clean(&self) {
        assert!(self.lost == 0 && self.faults == 0, "{self}: {:#?}", self.wrong);
        assert!(self.answered > 0, "nothing was sent");
    }
}

impl Ledger {
    pub(crate) fn new(queues: usize) -> Self {
        Self {
            queues: vec![Queue::default(); queues],
            answered: 0,
            delivered: 0,
            repeated: 0,
            replayed: 0,
            wrong: Vec::new(),
            faults: 0,
        }
    }

    /// The queues as they are now.
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// Rows that the node has taken so far.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// Rows that the node has taken and a recipient has not had yet, about.
    pub(crate) fn backlog(&self, recipient: u16) -> usize {
        let queue = &self.queues[usize::from(recipient)];
        queue.answered.len().saturating_sub(queue.delivered.len())
    }

    /// Rows that are answered for and have not come.
    pub(crate) fn missing(&self) -> usize {
        self.queues.iter().map(Queue::missing).sum()
    }

    pub(crate) fn fault(&mut self, what: String) {
        self.faults += 1;
        if self.wrong.len() < WRITTEN {
            self.wrong.push(what);
        }
    }

    pub(crate) fn replay(&mut self) {
        self.replayed += 1;
    }

    /// The node has answered that a row is in the queue.
    pub(crate) fn answer(&mut self, recipient: u16, id: MessageId, seq: u64) {
        self.answered += 1;
        let queue = &mut self.queues[usize::from(recipient)];
        queue.answered.insert(id, seq);
        if let Some(at) = queue.delivered.get(&id).copied().filter(|at| *at != seq) {
            self.fault(format!("{id} for {recipient} came at {at} and was answered as {seq}"));
        }
    }

    /// A row has come.
    pub(crate) fn deliver(&mut self, recipient: u16, seq: u64, payload: &[u8]) {
        let id = match MessageId::read(payload, recipient) {
            Ok(id) => id,
            Err(what) => return self.fault(format!("{what}, for {recipient} at {seq}")),
        };
        let queue = &mut self.queues[usize::from(recipient)];
        let mut faults = Vec::new();
        if seq <= queue.settled {
            faults.push("came after its acknowledgement was answered");
        }
        match queue.delivered.get(&id) {
            Some(at) if *at == seq => self.repeated += 1,
            Some(_) => faults.push("came at a second position"),
            None => {
                if seq <= queue.newest {
                    faults.push("came behind a later row");
                }
                if queue.order.get(&id.producer).is_some_and(|last| *last >= id.counter) {
                    faults.push("came behind a later one of its sender");
                }
                if queue.answered.get(&id).is_some_and(|answered| *answered != seq) {
                    faults.push("came at another position than was answered");
                }
                queue.newest = queue.newest.max(seq);
                queue.order.insert(id.producer, id.counter);
                queue.delivered.insert(id, seq);
                self.delivered += 1;
            }
        }
        for fault in faults {
            self.fault(format!("{id} for {recipient} at {seq} {fault}"));
        }
    }

    /// A gap mark has come.
    pub(crate) fn gap(&mut self, recipient: u16, seq: u64, lost: u32) {
        self.fault(format!("a gap of {lost} rows for {recipient} at {seq}"));
    }

    /// An acknowledgement is about to leave.
    pub(crate) fn acknowledging(&mut self, recipient: u16, up_to: u64) {
        let queue = &mut self.queues[usize::from(recipient)];
        queue.acknowledging = queue.acknowledging.max(up_to);
    }

    /// The node has answered an acknowledgement.
    pub(crate) fn settle(&mut self, recipient: u16, up_to: u64) {
        let queue = &mut self.queues[usize::from(recipient)];
        queue.settled = queue.settled.max(up_to);
    }

    /// What a client is told at its next authentication.
    pub(crate) fn check_position(&mut self, recipient: u16, acked_up_to: u64) {
        let settled = self.queues[usize::from(recipient)].settled;
        if acked_up_to < settled {
            self.fault(format!("{recipient} is at {acked_up_to}, after {settled} was answered"));
        }
    }

    /// The verdict.
    pub fn report(&self) -> Report {
        Report {
            answered: self.answered,
            delivered: self.delivered,
            repeated: self.repeated,
            replayed: self.replayed,
            lost: self.missing() as u64,
            wrong: self.wrong.clone(),
            faults: self.faults,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: MessageId = MessageId { producer: 3, counter: 7 };

    fn payload(id: MessageId, recipient: u16) -> Vec<u8> {
        [id.header(recipient), id.filler(40)].concat()
    }

    fn faults(test: impl FnOnce(&mut Ledger)) -> (u64, u64) {
        let mut ledger = Ledger::new(2);
        test(&mut ledger);
        let report = ledger.report();
        (report.lost, report.faults)
    }

    #[test]
    fn a_good_run_is_clean() {
        let run = faults(|ledger| {
            ledger.answer(1, ID, 5);
            ledger.deliver(1, 5, &payload(ID, 1));
            ledger.deliver(1, 5, &payload(ID, 1));
            ledger.settle(1, 5);
            ledger.check_position(1, 5);
        });
        assert_eq!(run, (0, 0));
    }

    #[test]
    fn each_broken_promise_is_seen() {
        assert_eq!(faults(|ledger| ledger.answer(1, ID, 5)), (1, 0), "lost");
        let twice = |ledger: &mut Ledger| {
            ledger.deliver(1, 5, &payload(ID, 1));
            ledger.deliver(1, 6, &payload(ID, 1));
        };
        assert_eq!(faults(twice), (0, 1), "a duplicate");
        let order = |ledger: &mut Ledger| {
            ledger.deliver(1, 5, &payload(ID, 1));
            ledger.deliver(1, 6, &payload(MessageId { counter: 6, ..ID }, 1));
        };
        assert_eq!(faults(order), (0, 1), "the order");
        let back = |ledger: &mut Ledger| {
            ledger.deliver(1, 5, &payload(ID, 1));
            ledger.settle(1, 5);
            ledger.deliver(1, 5, &payload(ID, 1));
        };
        assert_eq!(faults(back), (0, 1), "back after its acknowledgement");
        let moved = |ledger: &mut Ledger| {
            ledger.answer(1, ID, 5);
            ledger.deliver(1, 6, &payload(ID, 1));
        };
        assert_eq!(faults(moved), (0, 1), "another position");
        assert_eq!(faults(|ledger| ledger.deliver(0, 5, &payload(ID, 1))), (0, 1), "strayed");
        let damaged = |ledger: &mut Ledger| {
            let mut payload = payload(ID, 1);
            payload[20] ^= 1;
            ledger.deliver(1, 5, &payload);
        };
        assert_eq!(faults(damaged), (0, 1), "damaged");
        assert_eq!(faults(|ledger| ledger.gap(1, 5, 1)), (0, 1), "a gap");
    }
}
