//! A bell: what was not woken is not polled again. A socket that is told something among a thousand
//! others looks at what it was told, not at its clocks, its end and its peer as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// Stands between a task and what it waits for.
#[derive(Debug)]
pub(super) struct Bell {
    rope: Arc<Rope>,
    waker: Waker,
}

#[derive(Debug)]
struct Rope {
    rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Bell {
    /// One that has rung: nothing was polled yet.
    pub(super) fn new() -> Self {
        let rope = Arc::new(Rope { rung: AtomicBool::new(true), task: AtomicWaker::new() });
        Self { waker: Arc::clone(&rope).into(), rope }
    }

    /// Polls, if something polled here before has woken or was ready. It must be polled with this
    /// bell only, and stay where it is while it is pending.
    pub(super) fn poll<T>(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // First, so that who rings from here on wakes the task.
        self.rope.task.register(cx.waker());
        if !self.rope.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            // There may be more, and nobody will say so.
            self.rope.rung.store(true, Ordering::Release);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;

    use futures::FutureExt;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn only_what_has_rung_is_polled_and_nothing_is_missed() {
        let (bell, polls) = (Bell::new(), Cell::new(0));
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut next = || {
            poll_fn(|cx| {
                bell.poll(cx, |cx| {
                    polls.set(polls.get() + 1);
                    receiver.poll_recv(cx)
                })
            })
            .now_or_never()
        };
        assert_eq!((next(), next(), next()), (None, None, None));
        assert_eq!(polls.get(), 1, "nothing has rung");
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!((next(), next(), next()), (Some(Some(1)), Some(Some(2)), None));
        assert_eq!(polls.get(), 4);
        assert_eq!(next(), None);
        assert_eq!(polls.get(), 4);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_waits_is_woken() {
        let (bell, (sender, mut receiver)) = (Bell::new(), mpsc::channel(1));
        tokio_util::task::TaskTracker::new().spawn(async move {
            for number in 0..10_000 {
                sender.send(number).await.unwrap();
            }
        });
        for number in 0..10_000 {
            let heard = poll_fn(|cx| bell.poll(cx, |cx| receiver.poll_recv(cx))).await;
            assert_eq!(heard, Some(number));
        }
    }
}
