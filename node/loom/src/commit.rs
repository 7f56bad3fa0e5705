//! An answer comes after the commit of its request, once, and nothing is left behind.

use std::sync::atomic::{AtomicBool, Ordering};

use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;

use crate::batch::{Backlog, Bounds, Requests, backlog};
use crate::registry::Waiters;
use crate::sync::Arc;

type Numbers = Arc<Mutex<Vec<u8>>>;

/// Batches of two requests, and of three bytes: two large ones do not fit together.
fn way() -> (Requests<u8, u8>, Backlog<u8, u8>) {
    backlog(2, Bounds { requests: 2, bytes: 3 }, |write| usize::from(*write))
}

/// The writer's loop over a database that is a list.
fn write(mut requests: Backlog<u8, u8>, database: &Numbers, answer_first: bool) {
    while let Some(batch) = block_on(requests.take()) {
        assert!(batch.iter().map(|request| usize::from(request.write)).sum::<usize>() <= 3);
        let writes: Vec<u8> = batch.iter().map(|request| request.write).collect();
        if !answer_first {
            database.lock().unwrap().extend(&writes);
        }
        for request in batch {
            request.reply.send(request.write);
        }
        if answer_first {
            database.lock().unwrap().extend(&writes);
        }
    }
}

/// Returns whether an answer came before its commit.
fn two_submitters(answer_first: bool) -> bool {
    let (requests, taken) = way();
    let requests = Arc::new(requests);
    let database = Numbers::default();
    let submitters = [2, 3].map(|number| {
        let (requests, database) = (Arc::clone(&requests), Arc::clone(&database));
        thread::spawn(move || {
            assert_eq!(block_on(requests.submit(number)), Ok(number), "each gets its own answer");
            database.lock().unwrap().contains(&number)
        })
    });
    drop(requests);
    write(taken, &database, answer_first);
    let too_early = submitters.map(|submitter| !submitter.join().unwrap());
    let mut all = database.lock().unwrap().clone();
    all.sort_unstable();
    assert_eq!(all, [2, 3], "each once");
    too_early.contains(&true)
}

#[test]
fn two_submitters_are_answered_after_their_commits() {
    loom::model(|| assert!(!two_submitters(false), "answered before the commit"));
}

#[test]
fn an_answer_before_its_commit_is_found_out() {
    // The standard library's, so that it lives through all the runs of the model.
    let early = Arc::new(AtomicBool::new(false));
    let found = Arc::clone(&early);
    loom::model(move || {
        found.fetch_or(two_submitters(true), Ordering::Relaxed);
    });
    assert!(early.load(Ordering::Relaxed), "the model finds the early answer");
}

#[test]
fn a_submitter_that_goes_away_takes_nothing_back() {
    loom::model(|| {
        let (requests, taken) = way();
        let database = Numbers::default();
        let submitter = thread::spawn(move || {
            let mut submit = Box::pin(requests.submit(1));
            // Polled once, which hands the request in, and dropped.
            block_on(std::future::poll_fn(|context| {
                let _ = submit.as_mut().poll(context);
                std::task::Poll::Ready(())
            }));
        });
        write(taken, &database, false);
        submitter.join().unwrap();
        assert_eq!(*database.lock().unwrap(), [1]);
    });
}

#[test]
fn a_row_goes_from_its_sender_through_the_writer_to_who_waits() {
    loom::model(|| {
        let (requests, mut taken) = way();
        let database = Numbers::default();
        let waiters = Arc::new(Waiters::<u8>::default());
        let sender = thread::spawn(move || {
            assert_eq!(block_on(requests.submit(1)), Ok(1));
        });
        let reader = thread::spawn({
            let (database, waiters) = (Arc::clone(&database), Arc::clone(&waiters));
            move || {
                let mut place = waiters.register(1);
                block_on(async {
                    while database.lock().unwrap().is_empty() {
                        place.woken().await;
                    }
                });
            }
        });
        while let Some(batch) = block_on(taken.take()) {
            for request in batch {
                database.lock().unwrap().push(request.write);
                request.reply.send(request.write);
                waiters.wake(&[request.write]);
            }
        }
        sender.join().unwrap();
        reader.join().unwrap();
    });
}

/// A thread hands a request in, and does its next one by itself when it may. Returns whether the
/// order was kept.
fn queued_then_in_place(looks: bool) -> bool {
    let (requests, mut taken) = way();
    let database = Numbers::default();
    let submitter = thread::spawn({
        let database = Arc::clone(&database);
        move || {
            let mut first = Box::pin(requests.submit(1));
            block_on(std::future::poll_fn(|context| {
                let _ = first.as_mut().poll(context);
                std::task::Poll::Ready(())
            }));
            if (!looks || requests.is_idle())
                && let Ok(mut database) = database.try_lock()
            {
                database.push(2);
                return;
            }
            assert_eq!(block_on(requests.submit(2)), Ok(2));
        }
    });
    while let Some(batch) = block_on(taken.take()) {
        let mut database = database.lock().unwrap();
        database.extend(batch.iter().map(|request| request.write));
        for request in batch {
            request.reply.send(request.write);
        }
    }
    submitter.join().unwrap();
    let all = database.lock().unwrap().clone();
    assert_eq!(all.len(), 2, "each once");
    all == [1, 2]
}

#[test]
fn a_commit_in_place_overtakes_nothing() {
    loom::model(|| assert!(queued_then_in_place(true)));
}

#[test]
fn a_commit_in_place_without_a_look_is_found_out() {
    // The standard library's, so that it lives through all the runs of the model.
    let overtaken = Arc::new(AtomicBool::new(false));
    let found = Arc::clone(&overtaken);
    loom::model(move || {
        found.fetch_or(!queued_then_in_place(false), Ordering::Relaxed);
    });
    assert!(overtaken.load(Ordering::Relaxed), "the model finds the overtaking");
}
