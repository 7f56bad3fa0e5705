//! Rows that expire unread.

use super::*;
use crate::store::write::QueueWrite;

on_each_queue_backend!(
    expired_rows_become_gaps_that_grow_together,
    rows_that_are_still_good_stay_between_gaps,
    expired_rows_give_their_room_back
);

fn expiring(to: u8, payload: &[u8], ttl_secs: u32) -> QueueWrite {
    let QueueWrite::Enqueue(mut request) = enqueue(1, to, payload) else { unreachable!() };
    request.ttl_secs = ttl_secs;
    QueueWrite::Enqueue(request)
}

async fn expired_rows_become_gaps_that_grow_together(mut rig: QueueRig<impl QueueBackend>) {
    for (n, ttl) in [(1u8, 10), (2, 10), (3, 100), (4, 10), (5, 20), (6, 100)] {
        rig.one(expiring(5, &[n], ttl)).await.unwrap();
    }
    rig.one(expiring(6, b"other", 10)).await.unwrap();
    assert!(!rig.sweep(10).await);
    assert_eq!(rig.rows(5).await.len(), 6);
    rig.now += 10;
    while rig.sweep(2).await {}
    let (three, five, six) = ((3, is(&[3])), (5, is(&[5])), (6, is(&[6])));
    assert_eq!(rig.rows(5).await, [(2, Row::Lost(2)), three, (4, Row::Lost(1)), five, six]);
    assert_eq!(rig.rows(6).await, [(1, Row::Lost(1))]);
    rig.now += 10;
    rig.sweep(10).await;
    assert_eq!(
        rig.rows(5).await,
        [(2, Row::Lost(2)), (3, is(&[3])), (5, Row::Lost(2)), (6, is(&[6]))]
    );
    rig.now += 100;
    rig.sweep(1).await;
    rig.sweep(1).await;
    assert_eq!(rig.rows(5).await.iter().map(|(seq, _)| *seq).max(), Some(6));
    let session = rig.session(5).await;
    rig.one(ack(5, session, 6)).await.unwrap();
    assert!(rig.rows(5).await.is_empty());
    let QueueWritten::Authenticated(again) = rig.one(authenticate(5, 1, 1, 2)).await.unwrap()
    else {
        panic!("not authenticated");
    };
    assert_eq!(again.acked_up_to, 6);
}

/// In one sweep, also where positions in two queues follow each other.
async fn rows_that_are_still_good_stay_between_gaps(mut rig: QueueRig<impl QueueBackend>) {
    for (to, n, ttl) in [(5, 1u8, 10), (5, 2, 100), (5, 3, 10), (6, 1, 100), (6, 2, 10)] {
        rig.one(expiring(to, &[n], ttl)).await.unwrap();
    }
    for (to, n, ttl) in [(7, 1u8, 10), (8, 1, 100), (8, 2, 10)] {
        rig.one(expiring(to, &[n], ttl)).await.unwrap();
    }
    rig.now += 10;
    while rig.sweep(100).await {}
    let rows = rig.rows(5).await;
    assert_eq!(rows, [(1, Row::Lost(1)), (2, is(&[2])), (3, Row::Lost(1))]);
    for queue in [6, 8] {
        assert_eq!(rig.rows(queue).await, [(1, is(&[1])), (2, Row::Lost(1))]);
    }
    assert_eq!(rig.rows(7).await, [(1, Row::Lost(1))]);
}

async fn expired_rows_give_their_room_back(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.rows = 20;
    let writes: Vec<QueueWrite> = (0..10u8).map(|n| expiring(5, &[n], 10)).collect();
    assert!(rig.batch(&writes).await.iter().all(Result::is_ok));
    rig.now += 10;
    while rig.sweep(3).await {}
    assert_eq!(rig.rows(5).await, [(10, Row::Lost(10))]);
    let writes: Vec<QueueWrite> = (20..29u8).map(|n| expiring(5, &[n], 10)).collect();
    assert!(rig.batch(&writes).await.iter().all(Result::is_ok));
}
