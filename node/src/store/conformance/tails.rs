//! Rows that are handed over in memory are the rows of the store.

use std::collections::VecDeque;

use super::*;
use crate::delivery::waiters::Waiters;
use crate::store::write::Sent;
use crate::store::{QueuedRow, Read, Totals};

on_each_queue_backend!(
    a_follower_sees_every_row_once_and_in_order,
    at_the_end_of_a_queue_the_store_is_not_read,
    after_a_failure_the_store_is_read,
    rows_come_to_who_begins_to_follow_at_any_moment,
);

/// Not to be read.
#[derive(Debug)]
struct Shut;

impl QueueReads for Shut {
    fn rows(&self, _: IdentityKey, _: Page) -> Read<'_, Vec<QueuedRow>> {
        panic!("the store is read")
    }

    fn channel_rows(&self, _: IdentityKey, _: Channel, _: Page) -> Read<'_, Vec<QueuedRow>> {
        panic!("the store is read")
    }

    fn send_result(&self, _: IdentityKey, _: SendId, _: u64) -> Read<'_, Option<Sent>> {
        panic!("the store is read")
    }

    fn totals(&self) -> Read<'_, Totals> {
        panic!("the store is read")
    }
}

fn page(after: u64, rows: u32, bytes: usize) -> Page {
    Page { after, rows, bytes }
}

async fn a_follower_sees_every_row_once_and_in_order<B: QueueBackend>(mut rig: QueueRig<B>) {
    // The operations are the same in every run.
    let mut random = fastrand::Rng::with_seed(9420);
    let follower = rig.half.tails.follow(key(2));
    let (own, sender) = (rig.session(2).await, rig.session(1).await);
    let (mut after, mut serial) = (0, 0u32);
    let mut unseen = VecDeque::new();
    for _ in 0..1_000 {
        match random.u8(..8) {
            0..=3 if unseen.len() < 40 => {
                let batch = (0..random.usize(1..5)).map(|_| {
                    serial += 1;
                    let body = serial.to_be_bytes().repeat(random.usize(1..4));
                    if random.bool() {
                        unseen.push_back([[2].as_slice(), &body].concat());
                        let other = 3 + u8::try_from(serial % 50).unwrap();
                        let id = SendId { incarnation: 1, counter: serial.into() };
                        let send = multicast(1, sender, 1, &[other, 2], &body);
                        return QueueWrite::Multicast(Multicast { id, ..send });
                    }
                    unseen.push_back(body.clone());
                    enqueue(1, 2, &body)
                });
                let batch: Vec<_> = batch.collect();
                assert!(rig.batch(&batch).await.iter().all(Result::is_ok));
            }
            4 => follower.stop(),
            _ => {
                let wanted = page(after, random.u32(1..6), random.usize(1..40));
                let rows = follower.rows(&*rig.reads, wanted).await.unwrap();
                assert_eq!(rows.is_empty(), unseen.is_empty());
                for row in rows {
                    assert_eq!(row.seq, after + 1);
                    after = row.seq;
                    let RowContent::Payload { head, body } = row.content else {
                        panic!("a gap at {after}")
                    };
                    assert_eq!(Some([&*head, &*body].concat()), unseen.pop_front());
                }
                rig.one(ack(2, own, after)).await.unwrap();
            }
        }
    }
}

async fn at_the_end_of_a_queue_the_store_is_not_read<B: QueueBackend>(mut rig: QueueRig<B>) {
    let follower = rig.half.tails.follow(key(2));
    let first = follower.rows(&*rig.reads, page(0, 10, 1000)).await.unwrap();
    assert_eq!(first, []);
    rig.one(enqueue(1, 2, b"own")).await.unwrap();
    rig.one(enqueue(1, 3, b"another's")).await.unwrap();
    let rows = follower.rows(&Shut, page(0, 10, 1000)).await.unwrap();
    assert_eq!(rows, rig.reads.rows(key(2), page(0, 10, 1000)).await.unwrap());
    assert_eq!(follower.rows(&Shut, page(1, 10, 1000)).await.unwrap(), []);

    // More than a tail keeps.
    for n in 0..70u8 {
        rig.one(enqueue(4 + n % 4, 2, &[n])).await.unwrap();
    }
    let rows = follower.rows(&*rig.reads, page(1, 100, 1000)).await.unwrap();
    assert_eq!(rows.len(), 70);
}

async fn after_a_failure_the_store_is_read<B: QueueBackend>(mut rig: QueueRig<B>) {
    let follower = rig.half.tails.follow(key(2));
    assert_eq!(follower.rows(&*rig.reads, page(0, 10, 1000)).await.unwrap(), []);
    // A row that its writer did not hand over.
    let tails = std::mem::take(&mut rig.half.tails);
    rig.one(enqueue(1, 2, b"first")).await.unwrap();
    assert_eq!(follower.rows(&*rig.reads, page(0, 10, 1000)).await.unwrap(), []);
    tails.stop_all();
    assert_eq!(follower.rows(&*rig.reads, page(0, 10, 1000)).await.unwrap().len(), 1);

    assert_eq!(follower.rows(&*rig.reads, page(1, 10, 1000)).await.unwrap(), []);
    rig.one(enqueue(1, 2, b"second")).await.unwrap();
    rig.half.tails = tails;
    rig.one(enqueue(1, 2, b"third")).await.unwrap();
    let rows = follower.rows(&*rig.reads, page(1, 10, 1000)).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [2, 3]);
}

async fn rows_come_to_who_begins_to_follow_at_any_moment<B>(mut rig: QueueRig<B>)
where
    B: QueueBackend + Send + 'static,
{
    const ROWS: u64 = 1_500;
    (rig.half.limits.rows, rig.half.limits.bytes) = (1 << 20, 1 << 30);
    (rig.half.limits.pair_rows, rig.half.limits.stranger_rows) = (1 << 20, 1 << 20);
    let tails = Arc::clone(&rig.half.tails);
    let reads = Arc::clone(&rig.reads);
    let waiters = Arc::<Waiters>::default();
    let wake = Arc::clone(&waiters);
    // The next row comes when the one before has arrived: none comes that would make up for it.
    let (arrived, arrivals) = std::sync::mpsc::channel();
    let writer = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for n in 1..=ROWS {
                let batch = [enqueue(1, 2, &n.to_be_bytes())];
                let outcome = rig.half.run(&batch, rig.now).await.unwrap();
                assert!(outcome.answers[0].is_ok());
                wake.wake(&outcome.woken);
                while arrivals.recv().is_ok_and(|seq| seq < n) {}
            }
        });
    });
    // As a subscription does it, but begun anew after each row, while the next is on its way.
    let mut wakes = waiters.register(key(2));
    let mut follower = None;
    let mut after = 0;
    while after < ROWS {
        let follows = follower.get_or_insert_with(|| tails.follow(key(2)));
        let rows = follows.rows(&*reads, page(after, 10, 1000)).await.unwrap();
        if rows.is_empty() {
            let woken = tokio::time::timeout(std::time::Duration::from_secs(10), wakes.woken());
            woken.await.unwrap_or_else(|_| panic!("nothing came after {after}"));
        }
        for row in rows {
            assert_eq!(row.seq, after + 1);
            after = row.seq;
            follower = None;
            let _ = arrived.send(after);
            std::thread::sleep(std::time::Duration::from_micros(after % 16 * 10));
        }
    }
    writer.join().unwrap();
}
