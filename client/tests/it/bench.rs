//! The load generator of `qpq bench node` does what it says: every row it counts is there.

use std::time::Duration;

use quicproquo_client::bench::{Call, Crowd, Load, NodeBench, Packages};

use crate::world::World;

const BYTES: usize = 1024;
const TIME: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_load_is_spread_over_connections_and_counted() {
    let world = World::new().await;
    let bench = NodeBench::connect(&world.config("bench").node, &Crowd::generate(3)).await.unwrap();
    let calls = [
        Call::Health,
        Call::Enqueue { bytes: BYTES },
        Call::Send { recipients: 20, prefix: 100, body: BYTES },
    ];
    for call in calls {
        for (connections, in_flight) in [(1, 1), (3, 8)] {
            let mut load = Load { call, connections, in_flight, time: TIME };
            let mut measured = bench.load(load).await.unwrap();
            // A busy machine may get to nothing in a short time.
            while measured.nanos.is_empty() {
                assert!(load.time < Duration::from_secs(10), "{load:?}");
                load.time *= 2;
                measured = bench.load(load).await.unwrap();
            }
            assert!(measured.per_second() > 0.0);
        }
    }
}

#[tokio::test]
async fn what_is_filled_is_there_once() {
    let world = World::new().await;
    let bench = NodeBench::connect(&world.config("bench").node, &Crowd::generate(4)).await.unwrap();
    bench.fill(2, 300, BYTES).await.unwrap();
    bench.ballast(10, 25, BYTES).await.unwrap();
    assert_eq!(bench.enqueue(2, BYTES, 4, 100).await.unwrap().nanos.len(), 100);
    assert_eq!(bench.ack(2, 20).await.unwrap().nanos.len(), 20);
    let drained = bench.drain(1, 340).await.unwrap().nanos.len();
    assert_eq!(drained, 340);
    let pulled = bench.pull(2, 0).await.unwrap().nanos.len();
    assert_eq!(pulled, 340, "the first queue is empty, the second as full as before");
    let error = bench.pull(1, 1).await.unwrap_err();
    assert!(error.to_string().contains("0 of 1 rows"), "{error}");
}

#[tokio::test]
async fn pushes_are_timed_from_call_to_arrival() {
    let world = World::new().await;
    let bench = NodeBench::connect(&world.config("bench").node, &Crowd::generate(2)).await.unwrap();
    for multicast in [false, true] {
        let pushed = bench.push(multicast, BYTES, 500, 30).await.unwrap();
        assert_eq!(pushed.nanos.len(), 30);
        assert!(pushed.nanos.iter().all(|nanos| *nanos > 0));
    }
}

#[tokio::test]
async fn packages_are_claimed_once() {
    let world = World::new().await;
    let crowd = Crowd::generate(2);
    let bench = NodeBench::connect(&world.config("bench").node, &crowd).await.unwrap();
    let packages = Packages::generate(&crowd, 3).unwrap();
    // Two calls of each member: with two packages and with one.
    assert_eq!(bench.publish(&packages, 2, 2).await.unwrap().nanos.len(), 4);
    assert_eq!(bench.claim(6, 2).await.unwrap().nanos.len(), 6);
    let error = bench.claim(1, 1).await.unwrap_err();
    assert!(error.to_string().contains("no key package left"), "{error}");
}
