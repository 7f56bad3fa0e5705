//! Which calls of the peer are in flight: `Call` minus `Finish` (rpc.capnp).

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

/// Unfinished `Bootstrap`s of one connection. Some libraries never finish the first.
const BOOTSTRAPS: usize = 8;

/// Bounds of the peer's calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallLimit {
    /// Calls in flight.
    pub in_flight: usize,
    /// How long the next call waits, unread, for one in flight to end. Then it is refused.
    pub patience: Duration,
    /// Refused calls whose `Finish` has not come; one more ends the connection.
    pub refused: usize,
}

/// What to do with a message that asks for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it to the RPC system.
    Pass,
    /// Keep it, and read nothing, until a call has ended or this time has come.
    Wait(Instant),
    /// Answer that there are too many.
    Refuse,
    /// The peer goes on though it is refused again and again.
    End,
}

#[derive(Debug, Clone, Copy)]
struct Question {
    bootstrap: bool,
    returned: bool,
    finished: bool,
}

/// Questions of the peer that are not over. One is over when it is both answered and finished.
#[derive(Debug)]
pub(crate) struct Ledger {
    limit: CallLimit,
    questions: HashMap<u32, Question>,
    calls: usize,
    running: usize,
    refused: HashSet<u32>,
    /// When a call has last begun or ended.
    moved: Instant,
}

impl Ledger {
    pub(crate) fn new(limit: CallLimit, now: Instant) -> Self {
        Self {
            limit,
            questions: HashMap::new(),
            calls: 0,
            running: 0,
            refused: HashSet::new(),
            moved: now,
        }
    }

    /// A `Call` has arrived. A number that is in use goes through: the RPC system ends the
    /// connection for it.
    pub(crate) fn call(&mut self, id: u32, now: Instant) -> Verdict {
        if self.questions.contains_key(&id) {
            return Verdict::Pass;
        }
        if self.calls < self.limit.in_flight {
            self.ask(id, false, now);
            return Verdict::Pass;
        }
        // Answered calls end by the peer's `Finish` alone, which is behind this call in the
        // stream: to wait for it would be to wait for ever.
        let until = self.moved + self.limit.patience;
        if self.running > 0 && now < until { Verdict::Wait(until) } else { self.refuse(id) }
    }

    /// A `Bootstrap` has arrived.
    pub(crate) fn bootstrap(&mut self, id: u32, now: Instant) -> Verdict {
        if self.questions.contains_key(&id) {
            return Verdict::Pass;
        }
        if self.questions.len() - self.calls < BOOTSTRAPS {
            self.ask(id, true, now);
            return Verdict::Pass;
        }
        self.refuse(id)
    }

    /// A `Finish` has arrived. False: it is for a refused call, which the RPC system has not seen.
    pub(crate) fn finish(&mut self, id: u32, now: Instant) -> bool {
        if self.refused.remove(&id) {
            return false;
        }
        if let Some(question) = self.questions.get_mut(&id) {
            question.finished = true;
            if question.returned {
                self.over(id, now);
            }
        }
        true
    }

    /// A `Return` leaves. True: a call has ended.
    pub(crate) fn returned(&mut self, id: u32, no_finish_needed: bool, now: Instant) -> bool {
        let Some(question) = self.questions.get_mut(&id) else {
            return false;
        };
        if !question.returned && !question.bootstrap {
            self.running -= 1;
        }
        question.returned = true;
        if no_finish_needed || question.finished {
            self.over(id, now);
        }
        true
    }

    /// Calls in flight.
    pub(crate) fn in_flight(&self) -> usize {
        self.calls
    }

    fn ask(&mut self, id: u32, bootstrap: bool, now: Instant) {
        self.moved = now;
        self.questions.insert(id, Question { bootstrap, returned: false, finished: false });
        if !bootstrap {
            self.calls += 1;
            self.running += 1;
        }
    }

    fn refuse(&mut self, id: u32) -> Verdict {
        if self.refused.len() >= self.limit.refused {
            return Verdict::End;
        }
        self.refused.insert(id);
        Verdict::Refuse
    }

    fn over(&mut self, id: u32, now: Instant) {
        if self.questions.remove(&id).is_some_and(|question| !question.bootstrap) {
            self.calls -= 1;
            self.moved = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: CallLimit =
        CallLimit { in_flight: 2, patience: Duration::from_secs(2), refused: 3 };

    #[test]
    fn a_call_waits_while_one_runs_and_is_refused_when_none_will_end_by_itself() {
        let now = Instant::now();
        let mut ledger = Ledger::new(LIMIT, now);
        assert_eq!(ledger.bootstrap(0, now), Verdict::Pass);
        assert_eq!(ledger.call(1, now), Verdict::Pass);
        assert_eq!(ledger.call(2, now), Verdict::Pass);
        assert_eq!(ledger.call(2, now), Verdict::Pass, "in use: for the RPC system to judge");
        let later = now + Duration::from_secs(1);
        assert_eq!(ledger.call(3, later), Verdict::Wait(now + LIMIT.patience));

        assert!(ledger.returned(1, true, later));
        assert_eq!(ledger.call(3, later), Verdict::Pass);
        assert_eq!(ledger.call(4, later), Verdict::Wait(later + LIMIT.patience));
        assert_eq!(ledger.call(4, later + LIMIT.patience), Verdict::Refuse);

        // Answered, and not finished.
        assert!(ledger.returned(2, false, later));
        assert!(ledger.returned(3, false, later));
        assert_eq!(ledger.in_flight(), 2);
        assert_eq!(ledger.call(5, later), Verdict::Refuse);
        assert_eq!(ledger.call(6, later), Verdict::Refuse);
        assert_eq!(ledger.call(7, later), Verdict::End);
        assert!(!ledger.finish(5, later), "the RPC system has not seen it");
        assert!(ledger.finish(2, later));
        assert_eq!(ledger.call(7, later), Verdict::Pass);
    }

    #[test]
    fn a_cancelled_call_counts_until_it_is_answered() {
        let now = Instant::now();
        let mut ledger = Ledger::new(LIMIT, now);
        assert_eq!(ledger.call(1, now), Verdict::Pass);
        assert!(ledger.finish(1, now));
        assert_eq!(ledger.in_flight(), 1);
        ledger.returned(1, false, now);
        assert_eq!(ledger.in_flight(), 0);
        assert!(ledger.finish(1, now), "too late, and for the RPC system to ignore");
    }

    #[test]
    fn bootstraps_are_bounded_too() {
        let now = Instant::now();
        let mut ledger = Ledger::new(LIMIT, now);
        for id in 0..8 {
            assert_eq!(ledger.bootstrap(id, now), Verdict::Pass);
        }
        assert_eq!(ledger.bootstrap(8, now), Verdict::Refuse);
        assert_eq!(ledger.in_flight(), 0);
    }
}
