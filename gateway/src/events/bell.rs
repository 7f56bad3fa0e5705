//! A bell: what was not woken is not polled again. A socket that is told something among a thousand
//! others looks at what it was told, not at its clocks, its end and its peer as well.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// Stands between a task and two things that it waits for.
#[derive(Debug)]
pub(super) struct Bell {
    rope: Arc<Rope>,
    waker: Waker,
    /// Whether it has rung for the second one. Only the task looks at it.
    second: AtomicBool,
}

/// Both in one place, which is all of the bell that a task looks at in vain.
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
        Self { waker: Arc::clone(&rope).into(), rope, second: AtomicBool::new(false) }
    }

    /// Polls the first thing if something has woken. What is pending must stay where it is; when it
    /// is ready it is over.
    pub(super) fn first<T>(
        &self,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        // Before a look at the bell, so that who rings from here on wakes the task.
        self.rope.task.register(cx.waker());
        if !self.rope.rung.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        self.second.store(true, Ordering::Relaxed);
        poll(&mut Context::from_waker(&self.waker))
    }

    /// Polls the second thing if something has woken, or if it was ready the last time: then there
    /// may be more, and nobody will say so. Each time [`Bell::first`] comes before.
    pub(super) fn second<T>(&self, poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        if !self.second.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let polled = poll(&mut Context::from_waker(&self.waker));
        self.second.store(polled.is_ready(), Ordering::Relaxed);
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::pin::pin;

    use futures::FutureExt;
    use tokio::sync::{mpsc, oneshot};
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    async fn only_what_has_rung_is_polled_and_nothing_is_missed() {
        let (bell, polls) = (Bell::new(), Cell::new((0, 0)));
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let (end, mut ended) = oneshot::channel::<()>();
        let mut next = || {
            let look = poll_fn(|cx| {
                let over = bell.first(cx, |cx| {
                    polls.set((polls.get().0 + 1, polls.get().1));
                    ended.poll_unpin(cx)
                });
                if over.is_ready() {
                    return Poll::Ready(None);
                }
                bell.second(|cx| {
                    polls.set((polls.get().0, polls.get().1 + 1));
                    receiver.poll_recv(cx)
                })
            });
            look.now_or_never()
        };
        assert_eq!((next(), next(), next()), (None, None, None));
        assert_eq!(polls.get(), (1, 1), "nothing has rung");
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        assert_eq!((next(), next(), next(), next()), (Some(Some(1)), Some(Some(2)), None, None));
        assert_eq!(polls.get(), (2, 4), "until the second one had nothing");
        end.send(()).unwrap();
        assert_eq!(next(), Some(None));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn who_waits_is_woken() {
        const COUNT: usize = 10_000;
        let (bell, (sender, mut receiver)) = (Bell::new(), mpsc::channel(1));
        TaskTracker::new().spawn(async move {
            for number in 0..COUNT {
                sender.send(number).await.unwrap();
            }
        });
        let mut never = pin!(pending::<()>());
        for number in 0..COUNT {
            let heard = poll_fn(|cx| {
                let _ = bell.first(cx, |cx| never.as_mut().poll(cx));
                bell.second(|cx| receiver.poll_recv(cx))
            });
            assert_eq!(heard.await, Some(number));
        }
    }
}
