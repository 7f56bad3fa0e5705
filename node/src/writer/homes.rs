//! The way of answers back to the threads that asked, a batch at a time.
//!
//! A batch has up to 256 answers. To wake each caller from the writer's thread, while its own
//! thread polls others, makes the two wait for the same locks at every turn, those of the memory
//! allocator among them. So a thread that asks much takes its answers by itself.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread::{self, ThreadId};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use crate::batch::Answered;

/// Answers of one batch for one thread.
type Post<W, A> = Vec<Answered<W, A>>;

/// Where answers are taken. Threads are added and never removed.
#[derive(Debug)]
pub(super) struct Homes<W, A>(RwLock<Vec<Home<W, A>>>);

#[derive(Debug)]
struct Home<W, A> {
    thread: ThreadId,
    way: UnboundedSender<Post<W, A>>,
}

/// A thread that takes its answers.
pub(super) type Place = usize;

impl<W, A> Default for Homes<W, A> {
    fn default() -> Self {
        Self(RwLock::default())
    }
}

impl<W, A> Homes<W, A> {
    /// Makes this thread a home. What comes is to be delivered by it.
    pub(super) fn open(&self) -> UnboundedReceiver<Post<W, A>> {
        let (way, post) = mpsc::unbounded_channel();
        let mut homes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        homes.push(Home { thread: thread::current().id(), way });
        post
    }

    /// This thread, if it takes its answers.
    pub(super) fn here(&self) -> Option<Place> {
        let here = thread::current().id();
        self.read().iter().position(|home| home.thread == here)
    }

    /// Sends answers on their way. One alone, and those of threads that do not take theirs, are
    /// delivered at once.
    pub(super) fn answer(&self, batch: Vec<(Option<Place>, Answered<W, A>)>) {
        let alone = batch.len() == 1;
        let mut posts: Vec<Post<W, A>> = Vec::new();
        for (place, answered) in batch {
            match place {
                Some(place) if !alone => {
                    posts.resize_with(posts.len().max(place + 1), Vec::new);
                    posts[place].push(answered);
                }
                _ => answered.deliver(),
            }
        }
        let homes = self.read();
        let posts = posts.into_iter().zip(homes.iter()).filter(|(post, _)| !post.is_empty());
        for (post, home) in posts {
            if let Err(back) = home.way.send(post) {
                back.0.into_iter().for_each(Answered::deliver);
            }
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Home<W, A>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::batch::{Bounds, backlog};

    /// Whether two callers of this thread, which takes answers, are answered before it has taken
    /// any, and whether they are after it has.
    fn asked_by_two(place: impl Fn(&Homes<u8, u8>) -> Option<Place>, leaves: bool) -> [bool; 2] {
        let homes = Homes::default();
        let mut post = homes.open();
        let (requests, mut taken) = backlog(4, Bounds { requests: 4, bytes: 4 }, |_| 1);
        let mut callers = [1, 2].map(|write| Box::pin(requests.submit(write)));
        assert!(callers.iter_mut().all(|caller| caller.now_or_never().is_none()));
        let batch = taken.take().now_or_never().flatten().unwrap();
        let from = place(&homes);
        let answered = batch.into_iter().map(|request| {
            let (write, reply) = (request.write, request.reply);
            (from, Answered { write, reply, answer: write })
        });
        if leaves {
            post.close();
        }
        thread::scope(|scope| {
            let answered = answered.collect();
            scope.spawn(|| homes.answer(answered));
        });
        let mut left = Vec::from([1, 2]);
        let mut poll = || {
            for (caller, number) in callers.iter_mut().zip([1, 2]) {
                if left.contains(&number)
                    && let Some(answer) = caller.now_or_never()
                {
                    assert_eq!(answer, Ok(number), "each gets its own answer");
                    left.retain(|other| *other != number);
                }
            }
            left.is_empty()
        };
        let before = poll();
        while let Ok(answers) = post.try_recv() {
            answers.into_iter().for_each(Answered::deliver);
        }
        [before, poll()]
    }

    #[test]
    fn who_takes_answers_delivers_them_itself() {
        assert_eq!(asked_by_two(Homes::here, false), [false, true]);
        assert_eq!(asked_by_two(|_| None, false), [true, true], "of a thread that takes none");
    }

    #[test]
    fn a_thread_that_has_left_is_answered_all_the_same() {
        assert_eq!(asked_by_two(Homes::here, true), [true, true]);
    }

    #[test]
    fn another_thread_is_at_home_elsewhere() {
        let homes = Homes::<u8, u8>::default();
        let _post = homes.open();
        assert_eq!(homes.here(), Some(0));
        thread::scope(|scope| {
            let here = scope.spawn(|| {
                let before = homes.here();
                let _post = homes.open();
                (before, homes.here())
            });
            assert_eq!(here.join().unwrap(), (None, Some(1)));
        });
    }
}
