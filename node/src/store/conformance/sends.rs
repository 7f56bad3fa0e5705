//! The fence and the atomic multicast.

use super::*;
use crate::store::write::Delivered::Queued;
use crate::store::write::{Authenticated, Delivered, QueueWrite, Sent};
use crate::writer::WriteError;

on_each_queue_backend!(
    a_lower_incarnation_or_attempt_is_refused_and_anything_else_takes_over,
    a_multicast_is_ordered_alike_in_all_queues_and_its_body_is_shared,
    a_send_id_is_replayed_word_for_word,
    a_full_recipient_is_said_and_a_full_sender_stops_the_send,
    nothing_overtakes_a_send_that_is_refused_in_the_same_batch,
    only_the_live_session_sends_and_acknowledges,
);

/// `own_next` is the next position of the sender's queue before the send.
fn sent(results: &[Delivered], own_next: u64) -> QueueWritten {
    QueueWritten::Sent(Sent { results: results.to_vec(), own_next })
}

async fn a_lower_incarnation_or_attempt_is_refused_and_anything_else_takes_over(
    mut rig: QueueRig<impl QueueBackend>,
) {
    let mut session = 0;
    let steps = [
        ((1, 1, 5), true),
        ((1, 1, 4), false),
        ((1, 1, 5), true),
        ((1, 2, 0), true),
        ((2, 2, 0), true),
        ((1, 2, 9), false),
        ((u64::MAX, 1, u64::MAX), true),
        ((u64::MAX, 1, 0), false),
    ];
    for ((incarnation, instance, attempt), accepted) in steps {
        let answer = rig.one(authenticate(1, incarnation, instance, attempt)).await;
        if accepted {
            session += 1;
            let last_send = SendId::default();
            let expected = Authenticated { session, last_send, acked_up_to: 0 };
            assert_eq!(answer, Ok(QueueWritten::Authenticated(expected)));
        } else {
            assert_eq!(answer, Err(Refusal::Fenced));
        }
    }
}

async fn a_multicast_is_ordered_alike_in_all_queues_and_its_body_is_shared(
    mut rig: QueueRig<impl QueueBackend>,
) {
    let session = rig.session(1).await;
    let answers = rig
        .batch(&[
            QueueWrite::Multicast(multicast(1, session, 1, &[1, 2, 3], b"first")),
            enqueue(9, 2, b"between"),
            QueueWrite::Multicast(multicast(1, session, 2, &[3, 2, 1], b"second")),
        ])
        .await;
    assert_eq!(answers[0], Ok(sent(&[Queued(1), Queued(1), Queued(1)], 1)));
    assert_eq!(answers[2], Ok(sent(&[Queued(2), Queued(3), Queued(2)], 2)));
    for recipient in [1, 3] {
        let payload = |body: &[u8]| is(&[&[recipient], body].concat());
        let expected = [(1, payload(b"first")), (2, payload(b"second"))];
        assert_eq!(rig.rows(recipient).await, expected);
    }
    // The shared body stays until the last row has gone.
    rig.batch(&[remove(1, &[1]), remove(3, &[1])]).await;
    assert_eq!(rig.rows(2).await[0], (1, is(b"\x02first")));
    rig.one(remove(2, &[1])).await.unwrap();
    assert_eq!(rig.rows(3).await, [(2, is(b"\x03second"))]);

    let QueueWritten::Authenticated(next) = rig.one(authenticate(1, 1, 1, 2)).await.unwrap() else {
        panic!("not authenticated");
    };
    assert_eq!(next.last_send, SendId { incarnation: 1, counter: 2 });
}

async fn a_send_id_is_replayed_word_for_word(mut rig: QueueRig<impl QueueBackend>) {
    let session = rig.session(1).await;
    rig.one(enqueue(9, 1, b"before")).await.unwrap();
    let send = multicast(1, session, 7, &[2], b"once");
    let id = send.id;
    assert_eq!(rig.reads.send_result(key(1), id, rig.now).await.unwrap(), None);
    let twice = [QueueWrite::Multicast(send.clone()), QueueWrite::Multicast(send.clone())];
    let expected = Ok(sent(&[Delivered::Queued(1)], 2));
    assert_eq!(rig.batch(&twice).await, [expected.clone(), expected.clone()]);
    rig.one(enqueue(9, 1, b"after")).await.unwrap();
    assert_eq!(rig.one(QueueWrite::Multicast(send.clone())).await, expected);
    assert_eq!(rig.rows(2).await.len(), 1);
    let kept = rig.reads.send_result(key(1), id, rig.now).await.unwrap();
    assert_eq!(kept, Some(Sent { results: vec![Delivered::Queued(1)], own_next: 2 }));

    let other = Multicast { request: [0; 32], ..send.clone() };
    assert!(matches!(rig.one(QueueWrite::Multicast(other)).await, Err(Refusal::BadSendId(_))));
    let mut foreign = multicast(1, session, 8, &[2], b"x");
    foreign.id.incarnation = 2;
    assert!(matches!(rig.one(QueueWrite::Multicast(foreign)).await, Err(Refusal::BadSendId(_))));
    rig.now += 31 * DAY;
    rig.sweep(10).await;
    assert_eq!(rig.reads.send_result(key(1), id, rig.now).await.unwrap(), None);
}

/// What the writer does when a transaction of one request fails.
fn fail<B: QueueBackend>(_: &QueueRig<B>, write: &QueueWrite) {
    QueueHalf::<B>::failed(write, &WriteError::DiskFull);
}

async fn nothing_overtakes_a_send_that_is_refused_in_the_same_batch(
    mut rig: QueueRig<impl QueueBackend>,
) {
    rig.half.limits.rows = 2;
    let session = rig.session(1).await;
    rig.one(enqueue(9, 1, b"full")).await.unwrap();
    let sends = |order: &Arc<Order>| {
        [(1, [2, 1]), (2, [3, 4])].map(|(counter, to)| {
            let send = multicast(1, session, counter, &to, b"x");
            let turn = order.enter(send.id).unwrap();
            QueueWrite::Multicast(Multicast { turn, ..send })
        })
    };
    let order = Arc::default();
    let answers = rig.batch(&sends(&order)).await;
    assert_eq!(answers[0], Err(Refusal::QueueFull));
    assert!(matches!(answers[1], Err(Refusal::HeldUp(_))), "{answers:?}");
    assert!(rig.rows(3).await.is_empty());

    rig.one(ack(1, session, 1)).await.unwrap();
    let [first, second] = sends(&order);
    fail(&rig, &first);
    assert!(matches!(rig.one(second).await, Err(Refusal::HeldUp(_))));
    drop(first);
    assert!(rig.batch(&sends(&order)).await.iter().all(Result::is_ok));
}

async fn a_full_recipient_is_said_and_a_full_sender_stops_the_send(
    mut rig: QueueRig<impl QueueBackend>,
) {
    rig.half.limits.rows = 2;
    let session = rig.session(1).await;
    rig.batch(&[enqueue(8, 2, b"a"), enqueue(9, 3, b"c")]).await;
    let send = multicast(1, session, 1, &[2, 4], b"x");
    let expected = Ok(sent(&[Delivered::Full, Delivered::Queued(1)], 1));
    assert_eq!(rig.one(QueueWrite::Multicast(send.clone())).await, expected);
    let two = rig.session(2).await;
    rig.one(ack(2, two, 1)).await.unwrap();
    assert_eq!(rig.rows(2).await, [(2, Row::Lost(1))]);
    // There is room now, and the replay does not use it.
    assert_eq!(rig.one(QueueWrite::Multicast(send)).await, expected);
    assert_eq!(rig.rows(2).await, [(2, Row::Lost(1))]);

    rig.one(enqueue(9, 1, b"e")).await.unwrap();
    let own = multicast(1, session, 2, &[5, 1], b"x");
    assert_eq!(rig.one(QueueWrite::Multicast(own)).await, Err(Refusal::QueueFull));
    assert!(rig.rows(5).await.is_empty());
    let id = SendId { incarnation: 1, counter: 2 };
    assert_eq!(rig.reads.send_result(key(1), id, rig.now).await.unwrap(), None);
}

async fn only_the_live_session_sends_and_acknowledges(mut rig: QueueRig<impl QueueBackend>) {
    let session = rig.session(1).await;
    rig.one(enqueue(2, 1, b"a")).await.unwrap();
    let answers = rig
        .batch(&[
            authenticate(1, 1, 9, 1),
            ack(1, session, 1),
            QueueWrite::Multicast(multicast(1, session, 1, &[2], b"x")),
            ack(1, session + 1, 1),
        ])
        .await;
    let displaced = Refusal::Displaced(Instance::new([9; 16]));
    assert_eq!(answers[1], Err(displaced.clone()));
    assert_eq!(answers[2], Err(displaced));
    assert_eq!(answers[3], Ok(QueueWritten::Done));
    assert!(rig.rows(1).await.is_empty());
    assert!(rig.rows(2).await.is_empty());
}
