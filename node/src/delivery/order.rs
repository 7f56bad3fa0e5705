//! Nothing overtakes a send that was refused for now: until it comes again, the later sends of
//! its Session are refused too. A client may so have many sends out at once and still keep their
//! order.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included};

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::SendId;

use crate::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Refused sends that are remembered for a Session, the lowest ones. Far more than a connection
/// has calls in flight.
const REMEMBERED: usize = 1024;

/// A send that has to come first has been refused, and is to be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("send {counter} was refused and has not come again; send it, or ask for its result, first")]
pub(crate) struct HeldUp {
    /// Why the other one was refused.
    pub(crate) code: ErrorCode,
    counter: u64,
}

/// The order of one Session's sends.
#[derive(Debug, Default)]
pub(crate) struct Order(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// What was refused for now and has not come again.
    refused: BTreeMap<SendId, ErrorCode>,
    /// What is being done, and how often: a client may repeat a send before its answer.
    running: BTreeMap<SendId, usize>,
}

/// A send that is being done, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    order: Arc<Order>,
    id: SendId,
}

impl Order {
    /// A send comes; to be called in the order in which they come.
    pub(crate) fn enter(self: &Arc<Self>, id: SendId) -> Result<Arc<Turn>, HeldUp> {
        let mut state = self.lock();
        if let Some(held) = state.held_below(id) {
            state.refuse(id, held.code);
            return Err(held);
        }
        state.refused.remove(&id);
        *state.running.entry(id).or_default() += 1;
        Ok(Arc::new(Turn { order: Arc::clone(self), id }))
    }

    /// The client asks what became of a send, and need not repeat it.
    pub(crate) fn asked(&self, id: SendId) {
        self.lock().refused.remove(&id);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn held_below(&self, id: SendId) -> Option<HeldUp> {
        let first = SendId { counter: 0, ..id };
        let (lowest, code) = self.refused.range(first..id).next()?;
        Some(HeldUp { code: *code, counter: lowest.counter })
    }

    fn refuse(&mut self, id: SendId, code: ErrorCode) {
        self.refused.insert(id, code);
        if self.refused.len() > REMEMBERED {
            self.refused.pop_last();
        }
    }
}

impl Turn {
    /// It is refused for now, before it has reached the writer.
    pub(crate) fn refuse(&self, code: ErrorCode) {
        self.order.lock().refuse(self.id, code);
    }

    /// The writer does not do it for now, so that it must not do the later ones that are on their
    /// way to it either.
    pub(crate) fn fail(&self, code: ErrorCode) {
        let mut state = self.order.lock();
        state.refuse(self.id, code);
        let last = SendId { counter: u64::MAX, ..self.id };
        let later = state.running.range((Excluded(self.id), Included(last)));
        for id in later.map(|(id, _)| *id).collect::<Vec<_>>() {
            state.refuse(id, code);
        }
    }

    /// Whether the writer may do it.
    pub(crate) fn check(&self) -> Result<(), HeldUp> {
        let state = self.order.lock();
        match state.refused.get(&self.id) {
            None => Ok(()),
            Some(code) => {
                let own = HeldUp { code: *code, counter: self.id.counter };
                Err(state.held_below(self.id).unwrap_or(own))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.order.lock();
        if let Some(count) = state.running.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                state.running.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHY: ErrorCode = ErrorCode::RateLimited;

    fn id(counter: u64) -> SendId {
        SendId { incarnation: 1, counter }
    }

    fn held(counter: u64) -> HeldUp {
        HeldUp { code: WHY, counter }
    }

    #[test]
    fn each_refused_send_holds_up_all_later_ones_until_it_comes_or_is_asked_about() {
        let order = Arc::new(Order::default());
        order.enter(id(10)).unwrap().refuse(WHY);
        for counter in [11, 12] {
            assert_eq!(order.enter(id(counter)).unwrap_err(), held(10));
        }
        order.enter(id(9)).unwrap();
        order.enter(SendId { incarnation: 2, counter: 11 }).unwrap();
        order.enter(id(10)).unwrap();
        assert_eq!(order.enter(id(13)).unwrap_err(), held(11));
        assert_eq!(order.enter(id(12)).unwrap_err(), held(11));
        order.asked(id(11));
        assert_eq!(order.enter(id(13)).unwrap_err(), held(12));
        order.enter(id(12)).unwrap();
        order.enter(id(13)).unwrap();
        assert!(order.lock().refused.is_empty() && order.lock().running.is_empty());
    }

    #[test]
    fn a_failure_at_the_writer_reaches_what_is_behind_it_there() {
        let order = Arc::new(Order::default());
        let [before, failed, behind] = [9, 10, 11].map(|counter| order.enter(id(counter)).unwrap());
        failed.fail(WHY);
        drop(failed);
        // It comes again while the later one, refused by now, still waits for the writer.
        let again = order.enter(id(10)).unwrap();
        assert_eq!(behind.check(), Err(held(11)));
        assert_eq!(order.enter(id(12)).unwrap_err(), held(11));
        assert_eq!((before.check(), again.check()), (Ok(()), Ok(())));
    }

    #[test]
    fn a_client_that_never_repeats_anything_is_remembered_in_part() {
        let order = Arc::new(Order::default());
        order.enter(id(1)).unwrap().refuse(WHY);
        for counter in 2..=2 * REMEMBERED as u64 {
            order.enter(id(counter)).unwrap_err();
        }
        let remembered: Vec<_> = order.lock().refused.keys().map(|id| id.counter).collect();
        assert_eq!(remembered, (1..=REMEMBERED as u64).collect::<Vec<_>>());
    }
}
