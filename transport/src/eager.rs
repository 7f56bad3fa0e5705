//! Polls the RPC system as long as it has something to do.
//!
//! capnp-rpc takes one message in each poll and wakes itself for the next one. On a thread with many
//! connections each message then waits for a turn of all others, and what they answer leaves in as
//! many datagrams.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;
use tokio::task::coop::has_budget_remaining;

/// Polls in one turn of the task, after which others of its thread have theirs.
const POLLS: usize = 32;

/// Nobody has woken the future since it was polled.
const IDLE: u8 = 0;
/// It is being polled, and nobody has woken it meanwhile.
const POLLED: u8 = 1;
/// It was woken.
const WOKEN: u8 = 2;

/// A future that is polled again in the same turn of its task when it wakes itself, or is woken
/// meanwhile.
#[derive(Debug)]
pub struct Eager<F> {
    inner: F,
    signal: Arc<Signal>,
    waker: Waker,
}

#[derive(Debug)]
struct Signal {
    state: AtomicU8,
    /// Of the task.
    outer: AtomicWaker,
}

impl<F> Eager<F> {
    /// Of `inner`, which may not have been polled yet.
    pub fn new(inner: F) -> Self {
        let signal = Arc::new(Signal { state: AtomicU8::new(WOKEN), outer: AtomicWaker::new() });
        let waker = Waker::from(Arc::clone(&signal));
        Self { inner, signal, waker }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::AcqRel) == IDLE {
            self.outer.wake();
        }
    }
}

impl<F: Future + Unpin> Future for Eager<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { inner, signal, waker } = &mut *self;
        signal.outer.register(cx.waker());
        // Others may share the task, so that it may have been woken for them alone.
        if signal.state.load(Ordering::Acquire) == IDLE {
            return Poll::Pending;
        }
        for _ in 0..POLLS {
            // A swap, so that what a wake up to here tells of is seen.
            signal.state.swap(POLLED, Ordering::AcqRel);
            if let Poll::Ready(output) = Pin::new(&mut *inner).poll(&mut Context::from_waker(waker))
            {
                return Poll::Ready(output);
            }
            let idle =
                signal.state.compare_exchange(POLLED, IDLE, Ordering::AcqRel, Ordering::Acquire);
            if idle.is_ok() {
                return Poll::Pending;
            }
            // Without budget its channels say that they have nothing, and wake it all the same.
            if !has_budget_remaining() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::thread;

    use futures::FutureExt as _;
    use futures::future::poll_fn;
    use futures::task::noop_waker_ref;
    use tokio::sync::mpsc;

    use super::*;

    /// Wakes itself so often before it is done, and counts its polls.
    fn restless(times: usize, polls: &AtomicUsize) -> impl Future<Output = ()> + Unpin {
        poll_fn(move |cx| {
            if polls.fetch_add(1, Ordering::Relaxed) == times {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
    }

    #[test]
    fn what_wakes_itself_is_polled_on_but_not_for_ever() {
        let polls = AtomicUsize::new(0);
        assert!(Eager::new(restless(POLLS - 1, &polls)).now_or_never().is_some());
        assert_eq!(polls.swap(0, Ordering::Relaxed), POLLS);
        let mut longer = Eager::new(restless(POLLS, &polls));
        let mut cx = Context::from_waker(noop_waker_ref());
        assert!(longer.poll_unpin(&mut cx).is_pending());
        assert!(longer.poll_unpin(&mut cx).is_ready(), "it goes on in the next turn");
    }

    #[test]
    fn what_was_not_woken_is_not_polled() {
        let polls = AtomicUsize::new(0);
        let mut quiet = Eager::new(poll_fn(|_| {
            polls.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        }));
        let mut cx = Context::from_waker(noop_waker_ref());
        for _ in 0..3 {
            assert!(quiet.poll_unpin(&mut cx).is_pending());
        }
        assert_eq!(polls.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn no_wake_of_another_thread_is_lost() {
        const MESSAGES: usize = 10_000;
        let (sender, mut receiver) = mpsc::channel(1);
        let sending = thread::spawn(move || {
            for number in 0..MESSAGES {
                sender.blocking_send(number).unwrap();
            }
        });
        let receive = async {
            let mut expected = 0;
            while let Some(number) = receiver.recv().await {
                assert_eq!(number, expected);
                expected += 1;
            }
            expected
        };
        assert_eq!(Eager::new(Box::pin(receive)).await, MESSAGES);
        sending.join().unwrap();
    }
}
