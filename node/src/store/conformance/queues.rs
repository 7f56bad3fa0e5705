//! Positions, deduplication, limits, removal.

use super::*;
use crate::store::write::QueueWrite;

on_each_queue_backend!(
    positions_count_per_recipient_and_never_repeat,
    a_refused_request_leaves_its_neighbours_alone,
    equal_payloads_are_one_row_while_the_hash_lives,
    above_half_full_a_sender_has_a_quarter,
    bytes_of_a_sender_add_up_above_half_full,
    lost_rows_become_one_gap_where_there_is_room_again,
    a_gap_takes_a_place_and_waits_for_one,
    pages_hold_their_bounds_and_channels_are_apart,
    removed_rows_give_their_room_back,
);

async fn positions_count_per_recipient_and_never_repeat(mut rig: QueueRig<impl QueueBackend>) {
    let answers = rig.batch(&[enqueue(1, 5, b"a"), enqueue(1, 6, b"a"), enqueue(2, 5, b"b")]).await;
    assert_eq!(answers, [1, 1, 2].map(|seq| Ok(QueueWritten::Seq(seq))));
    let session = rig.session(5).await;
    rig.one(ack(5, session, 2)).await.unwrap();
    assert!(rig.rows(5).await.is_empty());
    assert_eq!(rig.one(enqueue(1, 5, b"c")).await, Ok(QueueWritten::Seq(3)));
    assert_eq!(rig.rows(5).await, [(3, is(b"c"))]);
    // Rows of the same batch are out of reach of an acknowledgement.
    rig.batch(&[enqueue(1, 5, b"d"), ack(5, session, u64::MAX)]).await;
    assert_eq!(rig.rows(5).await, [(4, is(b"d"))]);
}

async fn a_refused_request_leaves_its_neighbours_alone(mut rig: QueueRig<impl QueueBackend>) {
    let answers = rig
        .batch(&[
            enqueue(1, 5, b"a"),
            ack(9, 1, 1),
            QueueWrite::Multicast(multicast(9, 1, 1, &[5], b"x")),
            enqueue(1, 5, b"b"),
        ])
        .await;
    assert_eq!(answers[0], Ok(QueueWritten::Seq(1)));
    assert_eq!(answers[1], Err(Refusal::Fenced));
    assert_eq!(answers[2], Err(Refusal::Fenced));
    assert_eq!(answers[3], Ok(QueueWritten::Seq(2)));
    assert_eq!(rig.rows(5).await, [(1, is(b"a")), (2, is(b"b"))]);
}

async fn equal_payloads_are_one_row_while_the_hash_lives(mut rig: QueueRig<impl QueueBackend>) {
    let answers = rig.batch(&[enqueue(1, 5, b"a"), enqueue(1, 5, b"a")]).await;
    assert_eq!(answers, [Ok(QueueWritten::Seq(1)), Ok(QueueWritten::Seq(1))]);
    rig.one(remove(5, &[1])).await.unwrap();
    rig.now += 30 * DAY;
    rig.sweep(100).await;
    assert_eq!(rig.one(enqueue(1, 5, b"a")).await, Ok(QueueWritten::Seq(1)));
    assert!(rig.rows(5).await.is_empty());
    rig.now += DAY;
    rig.sweep(100).await;
    assert_eq!(rig.one(enqueue(1, 5, b"a")).await, Ok(QueueWritten::Seq(2)));
}

async fn above_half_full_a_sender_has_a_quarter(mut rig: QueueRig<impl QueueBackend>) {
    for n in 0..50u8 {
        rig.one(enqueue(1, 5, &[n])).await.unwrap();
    }
    assert_eq!(rig.one(enqueue(1, 5, b"more")).await, Err(Refusal::QueueFull));
    let others: Vec<QueueWrite> = (0..26u8).map(|n| enqueue(2, 5, &[100 + n])).collect();
    let answers = rig.batch(&others).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 25);
    assert_eq!(answers[25], Err(Refusal::QueueFull));
    for n in 0..23u8 {
        rig.one(enqueue(3, 5, &[200 + n])).await.unwrap();
    }
    // Bytes are limited like rows; each refusal leaves a gap before the next row.
    let large = vec![7; 5_001];
    assert_eq!(rig.one(enqueue(4, 6, &large)).await, Err(Refusal::QueueFull));
    assert_eq!(rig.one(enqueue(4, 6, &large[..5_000])).await, Ok(QueueWritten::Seq(2)));
    assert_eq!(rig.one(enqueue(5, 6, &large[..2_501])).await, Err(Refusal::QueueFull));
    assert_eq!(rig.one(enqueue(5, 6, &large[..2_500])).await, Ok(QueueWritten::Seq(4)));
}

async fn bytes_of_a_sender_add_up_above_half_full(mut rig: QueueRig<impl QueueBackend>) {
    rig.one(enqueue(1, 5, &[1; 5_000])).await.unwrap();
    rig.one(enqueue(2, 5, &[2; 1_300])).await.unwrap();
    assert_eq!(rig.one(enqueue(2, 5, &[3; 1_201])).await, Err(Refusal::QueueFull));
    rig.one(enqueue(2, 5, &[4; 1_200])).await.unwrap();
    // Bytes that are gone do not count, and the last one that there is may be used.
    rig.one(remove(5, &[2])).await.unwrap();
    rig.one(enqueue(2, 5, &[5; 1_300])).await.unwrap();
    rig.one(enqueue(3, 5, &[6; 2_500])).await.unwrap();
    assert_eq!(rig.one(enqueue(4, 5, b"x")).await, Err(Refusal::QueueFull));
}

async fn lost_rows_become_one_gap_where_there_is_room_again(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.rows = 4;
    for sender in 1..=4u8 {
        rig.one(enqueue(sender, 5, &[sender])).await.unwrap();
    }
    for n in 0..3u8 {
        assert_eq!(rig.one(enqueue(9, 5, &[n])).await, Err(Refusal::QueueFull));
    }
    assert_eq!(rig.rows(5).await.len(), 4);
    let session = rig.session(5).await;
    rig.one(ack(5, session, 3)).await.unwrap();
    assert_eq!(rig.rows(5).await, [(4, is(&[4])), (5, Row::Lost(3))]);
    rig.one(enqueue(8, 5, b"new")).await.unwrap();
    rig.one(ack(5, session, 5)).await.unwrap();
    assert_eq!(rig.rows(5).await, [(6, is(b"new"))]);
}

async fn a_gap_takes_a_place_and_waits_for_one(mut rig: QueueRig<impl QueueBackend>) {
    rig.half.limits.rows = 4;
    for sender in 1..=4u8 {
        rig.one(enqueue(sender, 5, &[sender])).await.unwrap();
    }
    assert_eq!(rig.one(enqueue(9, 5, b"lost")).await, Err(Refusal::QueueFull));
    // A row that is not there makes no place.
    rig.one(remove(5, &[99])).await.unwrap();
    assert_eq!(rig.rows(5).await.len(), 4);
    rig.one(remove(5, &[2])).await.unwrap();
    let rows = [(1, is(&[1])), (3, is(&[3])), (4, is(&[4])), (5, Row::Lost(1))];
    assert_eq!(rig.rows(5).await, rows);
    assert_eq!(rig.one(enqueue(9, 5, b"full again")).await, Err(Refusal::QueueFull));
}

async fn pages_hold_their_bounds_and_channels_are_apart(mut rig: QueueRig<impl QueueBackend>) {
    for (n, of) in [(0u8, 1), (1, 2), (2, 1), (3, 0), (4, 1)] {
        let QueueWrite::Enqueue(mut request) = enqueue(1, 5, &[n; 100]) else { unreachable!() };
        request.channel = channel(of);
        rig.one(QueueWrite::Enqueue(request)).await.unwrap();
    }
    let read = async |of, after, rows, bytes| {
        let page = Page { after, rows, bytes };
        let rows = match of {
            None => rig.reads.rows(key(5), page).await,
            Some(of) => rig.reads.channel_rows(key(5), channel(of), page).await,
        };
        rows.unwrap().iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    assert_eq!(read(None, 0, 10, 1000).await, [1, 2, 3, 4, 5]);
    assert_eq!(read(None, 2, 2, 1000).await, [3, 4]);
    assert_eq!(read(None, 0, 10, 250).await, [1, 2]);
    assert_eq!(read(None, 0, 10, 1).await, [1]);
    assert_eq!(read(None, 5, 10, 1000).await, [0u64; 0]);
    assert_eq!(read(Some(1), 0, 10, 1000).await, [1, 3, 5]);
    assert_eq!(read(Some(1), 1, 1, 1000).await, [3]);
    assert_eq!(read(Some(0), 0, 10, 1000).await, [4]);
    assert_eq!(read(Some(9), 0, 10, 1000).await, [0u64; 0]);
}

async fn removed_rows_give_their_room_back(mut rig: QueueRig<impl QueueBackend>) {
    for round in 0..5u8 {
        let writes: Vec<QueueWrite> = (0..50u8).map(|n| enqueue(1, 5, &[round, n])).collect();
        assert!(rig.batch(&writes).await.iter().all(Result::is_ok));
        let seqs: Vec<u64> = rig.rows(5).await.iter().map(|(seq, _)| *seq).collect();
        // Twice in one batch, and rows that are not there.
        let answers = rig.batch(&[remove(5, &seqs), remove(5, &seqs), remove(7, &[1])]).await;
        assert!(answers.iter().all(Result::is_ok));
        assert!(rig.rows(5).await.is_empty());
    }
}
