//! Recipients that have never been here, pairs, and queues of the deleted.

use super::*;
use crate::store::write::Delivered::{Full, Queued};
use crate::store::write::{DeleteQueue, Sent};

on_each_queue_backend!(
    a_sender_has_so_many_rows_waiting_for_strangers,
    a_sender_has_so_many_bytes_waiting_for_strangers,
    rows_that_are_gone_do_not_count,
    a_multicast_counts_as_it_goes,
    bytes_of_a_multicast_count_as_it_goes,
    a_pair_has_its_own_limit,
    a_deleted_queue_leaves_only_its_position,
    a_deleted_queue_is_a_strangers_and_has_lost_nothing,
    a_deletion_is_of_the_live_session,
);

async fn a_sender_has_so_many_rows_waiting_for_strangers(mut rig: QueueRig<impl QueueBackend>) {
    (rig.half.limits.stranger_rows, rig.half.limits.stranger_bytes) = (3, 100);
    rig.session(5).await;
    let answers = rig
        .batch(&[
            enqueue(1, 10, b"a"),
            enqueue(1, 11, b"a"),
            enqueue(1, 10, b"b"),
            enqueue(1, 12, b"a"),
            enqueue(1, 10, b"c"),
            enqueue(2, 12, b"a"),
            enqueue(1, 5, b"a"),
        ])
        .await;
    let full = Err(Refusal::QueueFull);
    let seq = |seq| Ok(QueueWritten::Seq(seq));
    assert_eq!(answers, [seq(1), seq(1), seq(2), full.clone(), full.clone(), seq(1), seq(1)]);
    assert_eq!(rig.one(enqueue(3, 13, &[7; 101])).await, full);
    // A queue that there was carries a gap; one that there was not is not made for it.
    assert_eq!(rig.one(enqueue(2, 10, b"d")).await, seq(4));
    assert_eq!(rig.rows(10).await[2], (3, Row::Lost(1)));
    assert_eq!(rig.one(enqueue(2, 13, b"d")).await, seq(1));
}

async fn a_sender_has_so_many_bytes_waiting_for_strangers(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.stranger_bytes = 100;
    let full = Err(Refusal::QueueFull);
    rig.one(enqueue(1, 10, &[1; 60])).await.unwrap();
    rig.one(enqueue(1, 11, &[2; 40])).await.unwrap();
    assert_eq!(rig.one(enqueue(1, 12, b"x")).await, full);
    rig.one(enqueue(2, 12, b"x")).await.unwrap();
    rig.one(remove(10, &[1])).await.unwrap();
    assert_eq!(rig.one(enqueue(1, 12, &[3; 61])).await, full);
    rig.one(enqueue(1, 12, &[4; 60])).await.unwrap();
    assert_eq!(rig.one(enqueue(1, 13, b"x")).await, full);
}

async fn rows_that_are_gone_do_not_count(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.stranger_rows = 2;
    rig.batch(&[enqueue(1, 10, b"a"), enqueue(1, 11, b"a")]).await;
    assert_eq!(rig.one(enqueue(1, 12, b"a")).await, Err(Refusal::QueueFull));
    // Who comes is no stranger, and what waited for it counts until it is taken.
    let session = rig.session(10).await;
    assert!(rig.one(enqueue(1, 10, b"b")).await.is_ok());
    assert_eq!(rig.one(enqueue(1, 12, b"a")).await, Err(Refusal::QueueFull));
    rig.one(ack(10, session, 1)).await.unwrap();
    assert!(rig.one(enqueue(1, 12, b"a")).await.is_ok());
    assert_eq!(rig.one(enqueue(1, 13, b"a")).await, Err(Refusal::QueueFull));
    rig.now += 30 * DAY;
    while rig.sweep(1).await {}
    assert!(rig.one(enqueue(1, 13, b"a")).await.is_ok());
    assert!(rig.one(enqueue(1, 14, b"a")).await.is_ok());
    assert_eq!(rig.one(enqueue(1, 15, b"a")).await, Err(Refusal::QueueFull));
}

async fn a_multicast_counts_as_it_goes(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.stranger_rows = 2;
    let session = rig.session(1).await;
    rig.session(2).await;
    let send = multicast(1, session, 1, &[10, 2, 11, 12, 1], b"x");
    let sent = rig.one(QueueWrite::Multicast(send)).await;
    let results = vec![Queued(1), Queued(1), Queued(1), Full, Queued(1)];
    assert_eq!(sent, Ok(QueueWritten::Sent(Sent { results, own_next: 1 })));
    assert!(rig.rows(12).await.is_empty());
}

async fn bytes_of_a_multicast_count_as_it_goes(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.stranger_bytes = 100;
    let session = rig.session(1).await;
    let send = multicast(1, session, 1, &[10, 11, 12, 1], &[7; 49]);
    let sent = rig.one(QueueWrite::Multicast(send)).await;
    let results = vec![Queued(1), Queued(1), Full, Queued(1)];
    assert_eq!(sent, Ok(QueueWritten::Sent(Sent { results, own_next: 1 })));
}

async fn a_pair_has_its_own_limit(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.pair_rows = 5;
    let batch: Vec<_> = (0..7u8).map(|n| enqueue(1, 5, &[n])).collect();
    let answers = rig.batch(&batch).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 5);
    assert_eq!(rig.one(enqueue(1, 5, b"one more")).await, Err(Refusal::QueueFull));
    assert!(rig.one(enqueue(2, 5, b"another")).await.is_ok());
    rig.one(remove(5, &[1])).await.unwrap();
    assert!(rig.one(enqueue(1, 5, b"one more now")).await.is_ok());
    assert_eq!(rig.one(enqueue(1, 5, b"and more")).await, Err(Refusal::QueueFull));
}

fn delete(identity: u8, session: Option<u64>) -> QueueWrite {
    QueueWrite::Delete(DeleteQueue { identity: key(identity), session })
}

const DELETED: Result<QueueWritten, Refusal> = Ok(QueueWritten::Deleted { more: false });

async fn a_deleted_queue_leaves_only_its_position(mut rig: QueueRig<impl QueueBackend>) {
    let (alice, bob) = (rig.session(1).await, rig.session(2).await);
    rig.batch(&[
        QueueWrite::Multicast(multicast(1, alice, 1, &[1, 2], b"both")),
        QueueWrite::Multicast(multicast(2, bob, 1, &[1, 2], b"back")),
        enqueue(2, 1, b"base"),
    ])
    .await;
    assert_eq!(rig.rows(1).await.len(), 3);
    assert_eq!(rig.one(delete(1, Some(alice))).await, DELETED);
    assert!(rig.rows(1).await.is_empty());
    let id = SendId { incarnation: 1, counter: 1 };
    assert_eq!(rig.reads.send_result(key(1), id, 0).await.unwrap(), None);
    assert!(rig.reads.send_result(key(2), id, 0).await.unwrap().is_some());
    // What others have of it stays, the shared bodies included.
    assert_eq!(rig.rows(2).await, [(1, is(b"\x02both")), (2, is(b"\x02back"))]);
    assert_eq!(rig.one(ack(1, alice, 1)).await, Err(Refusal::Fenced));

    // Positions go on, a digest is not remembered, and no fence is left.
    assert_eq!(rig.one(enqueue(2, 1, b"base")).await, Ok(QueueWritten::Seq(4)));
    let Ok(QueueWritten::Authenticated(again)) = rig.one(authenticate(1, 1, 1, 0)).await else {
        panic!("the key is new here")
    };
    assert_eq!((again.session, again.last_send, again.acked_up_to), (1, SendId::default(), 3));
    assert_eq!(rig.rows(1).await, [(4, is(b"base"))]);
    rig.one(ack(2, bob, 2)).await.unwrap();
    rig.one(ack(1, 1, 4)).await.unwrap();
    assert!(rig.rows(1).await.is_empty() && rig.rows(2).await.is_empty());
    let send = QueueWrite::Multicast(multicast(1, 1, 1, &[1, 2], b"new"));
    let sent = QueueWritten::Sent(Sent { results: vec![Queued(5), Queued(3)], own_next: 5 });
    assert_eq!(rig.one(send).await, Ok(sent));
}

async fn a_deleted_queue_is_a_strangers_and_has_lost_nothing(mut rig: QueueRig<impl QueueBackend>) {
    (rig.half.limits.rows, rig.half.limits.stranger_rows) = (4, 1);
    let session = rig.session(1).await;
    for sender in 2..=5u8 {
        rig.one(enqueue(sender, 1, &[sender])).await.unwrap();
    }
    assert_eq!(rig.one(enqueue(6, 1, b"lost")).await, Err(Refusal::QueueFull));
    assert_eq!(rig.one(delete(1, Some(session))).await, DELETED);
    rig.one(enqueue(2, 1, b"new")).await.unwrap();
    assert_eq!(rig.one(enqueue(2, 1, b"too many")).await, Err(Refusal::QueueFull));
    rig.session(1).await;
    assert_eq!(rig.rows(1).await, [(5, is(b"new"))]);
}

async fn a_deletion_is_of_the_live_session(mut rig: QueueRig<impl QueueBackend>) {
    let first = rig.session(1).await;
    let second = rig.session(1).await;
    rig.one(enqueue(2, 1, b"before")).await.unwrap();
    let displaced = rig.one(delete(1, Some(first))).await;
    assert!(matches!(displaced, Err(Refusal::Displaced(_))), "{displaced:?}");
    assert_eq!(rig.one(delete(9, Some(1))).await, Err(Refusal::Fenced));
    assert_eq!(rig.rows(1).await.len(), 1);
    let answers = rig
        .batch(&[
            delete(1, Some(second)),
            enqueue(2, 1, b"after"),
            ack(1, second, 9),
            authenticate(1, 1, 1, 1),
        ])
        .await;
    assert_eq!(answers[0], DELETED);
    assert_eq!(answers[1], Ok(QueueWritten::Seq(2)));
    assert_eq!(answers[2], Err(Refusal::Fenced));
    assert!(answers[3].is_ok());
    assert_eq!(rig.rows(1).await, [(2, is(b"after"))]);
    // What a crash has left is deleted without asking whose Session it was, again and again.
    assert_eq!(rig.one(delete(1, None)).await, DELETED);
    assert_eq!(rig.one(delete(1, None)).await, DELETED);
    assert_eq!(rig.one(delete(7, None)).await, DELETED);
    assert!(rig.rows(1).await.is_empty());
    // Nor does a fence of the same batch outlive it.
    let answers = rig.batch(&[authenticate(3, 5, 1, 1), delete(3, None)]).await;
    assert_eq!(answers[1], DELETED);
    assert!(rig.one(authenticate(3, 1, 1, 1)).await.is_ok());
}
