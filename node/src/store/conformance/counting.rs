//! What is counted, and the write that changes nothing.

use super::*;
use crate::store::Totals;
use crate::store::plan::{Tally, Volume};

on_each_queue_backend!(rows_are_counted_as_they_come_and_go, a_probe_changes_nothing);

async fn tally<B: QueueBackend>(rig: &mut QueueRig<B>, batch: &[QueueWrite]) -> Tally {
    rig.half.run(batch, rig.now).await.unwrap().tally
}

async fn rows_are_counted_as_they_come_and_go<B: QueueBackend>(mut rig: QueueRig<B>) {
    let session = rig.session(1).await;
    let send = QueueWrite::Multicast(multicast(1, session, 1, &[2, 3], b"four"));
    let batch = [enqueue(1, 2, b"12345"), enqueue(1, 2, b"12345"), send.clone(), send];
    let counted = tally(&mut rig, &batch).await;
    // Repetitions put nothing into a queue.
    assert_eq!(counted.enqueued, Volume { rows: 1, bytes: 5 });
    assert_eq!(counted.sent, Volume { rows: 2, bytes: 10 });
    assert_eq!((counted.acked, counted.gaps), (0, 0));
    let totals = rig.reads.totals().await.unwrap();
    assert_eq!((totals.rows, totals.bytes), (3, 15));

    // The third and fourth row find no room; the acknowledgement makes some for their gap.
    rig.half.limits.rows = 2;
    assert!(rig.one(enqueue(1, 2, b"x")).await.is_err());
    let session = rig.session(2).await;
    let counted = tally(&mut rig, &[ack(2, session, 1)]).await;
    assert_eq!((counted.acked, counted.gaps), (1, 1));
    assert_eq!((counted.enqueued, counted.sent), (Volume::default(), Volume::default()));

    rig.now += 31 * DAY;
    let swept = rig.half.sweep(rig.now, 10).await.unwrap();
    assert_eq!((swept.expired, swept.gaps), (2, 2));
    assert_eq!(rig.reads.totals().await.unwrap().bytes, 0);
}

async fn a_probe_changes_nothing<B: QueueBackend>(mut rig: QueueRig<B>) {
    assert_eq!(rig.reads.totals().await.unwrap(), Totals::default());
    assert_eq!(rig.one(QueueWrite::Probe).await, Ok(QueueWritten::Done));
    assert_eq!(rig.reads.totals().await.unwrap(), Totals::default());
    rig.one(enqueue(1, 2, b"x")).await.unwrap();
    assert_eq!(tally(&mut rig, &[QueueWrite::Probe]).await, Tally::default());
}
