//! No wake is lost between a look and a wait.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use loom::future::block_on;
use loom::sync::Mutex;
use loom::thread;

use crate::registry::{Registration, Waiters};
use crate::sync::Arc;

const QUEUE: u8 = 1;

/// A queue of one row, and who waits for it.
#[derive(Default)]
struct World {
    waiters: Arc<Waiters<u8>>,
    row: Mutex<bool>,
}

impl World {
    /// What the writer does: first the row, then the wake.
    fn commit(&self) {
        *self.row.lock().unwrap() = true;
        self.waiters.wake(&[QUEUE]);
    }

    fn look(&self) -> bool {
        *self.row.lock().unwrap()
    }

    /// What a waiting fetch and a subscription do.
    fn wait(&self) {
        let mut place = self.waiters.register(QUEUE);
        block_on(async {
            while !self.look() {
                place.woken().await;
            }
        });
    }

    /// The mistake: a row that is committed after the look wakes nobody. Returns the place in which
    /// it would be waited, if it came to that.
    fn look_before_registering(&self) -> Option<Registration<u8>> {
        (!self.look()).then(|| self.waiters.register(QUEUE))
    }
}

#[test]
fn a_waiter_gets_the_row_while_another_comes_and_goes() {
    loom::model(|| {
        let world = Arc::new(World::default());
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || world.commit()
        });
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || drop(world.waiters.register(QUEUE))
        });
        world.wait();
        writer.join().unwrap();
        other.join().unwrap();
        assert!(world.waiters.is_empty(), "every place is given back");
    });
}

#[test]
fn two_waiters_both_get_the_row() {
    // Each of the two may go on at every step of the other: all orders would take minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let world = Arc::new(World::default());
        let waiter = thread::spawn({
            let world = Arc::clone(&world);
            move || world.wait()
        });
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || world.commit()
        });
        world.wait();
        waiter.join().unwrap();
        writer.join().unwrap();
        assert!(world.waiters.is_empty(), "every place is given back");
    });
}

#[test]
fn looking_before_registering_is_found_out() {
    // The standard library's, so that it lives through all the runs of the model.
    let lost = Arc::new(AtomicBool::new(false));
    let found = Arc::clone(&lost);
    loom::model(move || {
        let world = Arc::new(World::default());
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || world.commit()
        });
        let place = world.look_before_registering();
        writer.join().unwrap();
        // The row is there and the last wake is over: who is not woken now never is.
        if let Some(mut place) = place {
            let woken = block_on(poll_fn(|context| {
                Poll::Ready(pin!(place.woken()).poll(context).is_ready())
            }));
            found.fetch_or(!woken, Ordering::Relaxed);
        }
    });
    assert!(lost.load(Ordering::Relaxed), "the model finds the lost wake");
}
