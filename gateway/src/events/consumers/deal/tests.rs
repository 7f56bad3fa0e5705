//! Who gets what, in which order, and how often.

use super::*;
use quicproquo_client::{Event, EventData};

const LEASE: Duration = Duration::from_secs(30);
const TERMS: Terms = Terms { limit: 100, lane_limit: 100, lease: Some(LEASE), streams: true };

fn at(number: u32) -> Cursor {
    format!("c1_{number:x}").parse().unwrap()
}

/// A consumer, its connections and a clock.
struct Bench {
    deal: Deal,
    now: Now,
}

impl Bench {
    /// Events 1, 2, ... of the groups named, read from the log.
    fn new(groups: &[u8]) -> Self {
        let mut bench =
            Self { deal: Deal::at(at(0)), now: Now { at: Instant::now(), ms: 1_000_000 } };
        bench.join(0);
        bench.deal.leave(0, false, bench.now);
        bench.read(groups);
        bench
    }

    fn read(&mut self, groups: &[u8]) {
        let from = self.deal.read;
        let events = (1..).zip(groups).map(|(n, group)| Event {
            cursor: at(n),
            occurred_at_ms: 0,
            group: Some(hex::encode([*group; 32]).parse().unwrap()),
            data: EventData::GapDetected { lost: n },
        });
        let items: Vec<_> = events.filter(|event| event.cursor > from).collect();
        let next = at(u32::try_from(groups.len()).unwrap());
        self.deal.add(from, EventPage { items, next }, self.now);
    }

    fn join(&mut self, conn: Conn) {
        self.deal.join(conn, TERMS, &Filter::default(), self.now);
    }

    fn later(&mut self, seconds: u64) {
        self.now.at += Duration::from_secs(seconds);
        self.now.ms += seconds * 1000;
    }

    /// What a connection gets: cursors and attempts.
    fn take(&mut self, conn: Conn) -> Vec<(Cursor, u32)> {
        let dealt = self.deal.take(conn, 100, self.now);
        dealt.into_iter().map(|dealt| (dealt.id.cursor, dealt.attempt)).collect()
    }

    fn ack(&mut self, numbers: &[u32]) -> Cursor {
        for number in numbers {
            self.deal.settle(at(*number), self.now);
        }
        self.deal.cursor()
    }
}

fn firsts(numbers: &[u32]) -> Vec<(Cursor, u32)> {
    numbers.iter().map(|number| (at(*number), 1)).collect()
}

#[test]
fn connections_share_by_group_and_keep_its_order() {
    let mut bench = Bench::new(&[1, 2, 1, 2, 1]);
    bench.deal.join(1, Terms { limit: 1, ..TERMS }, &Filter::default(), bench.now);
    bench.join(2);
    assert_eq!(bench.take(1), firsts(&[1]));
    // Group 1 is with the first connection, whatever room the second has.
    assert_eq!(bench.take(2), firsts(&[2, 4]));
    assert_eq!(bench.ack(&[1]), at(1));
    assert_eq!(bench.take(1), firsts(&[3]));
    bench.ack(&[3]);
    // With nothing of it under way, the group is anybody's.
    assert_eq!(bench.take(2), firsts(&[5]));
    assert_eq!(bench.ack(&[5]), at(1), "the lowest open one is 2");
    assert_eq!(bench.ack(&[2, 4]), at(5));
}

#[test]
fn an_unacknowledged_event_returns_and_only_the_first_counts() {
    let mut bench = Bench::new(&[1, 1]);
    bench.join(1);
    assert_eq!(bench.take(1), firsts(&[1, 2]));
    bench.later(29);
    assert_eq!(bench.take(1), []);
    assert!(bench.deal.alarm(bench.now.at).is_some());
    bench.later(1);
    assert_eq!(bench.take(1), [(at(1), 2), (at(2), 1)]);
    // The lease of what becomes the first begins then.
    bench.later(20);
    bench.ack(&[1]);
    bench.later(20);
    assert_eq!(bench.take(1), []);
    bench.later(10);
    assert_eq!(bench.take(1), [(at(2), 2)]);
}

#[test]
fn a_lease_can_be_extended_while_it_holds() {
    let mut bench = Bench::new(&[1]);
    bench.join(1);
    let id = bench.deal.take(1, 1, bench.now)[0].id;
    bench.later(29);
    assert!(bench.deal.extend(id, LEASE, bench.now));
    bench.later(29);
    assert_eq!(bench.take(1), []);
    bench.later(1);
    assert!(!bench.deal.extend(id, LEASE, bench.now));
    assert_eq!(bench.take(1), [(at(1), 2)]);
    assert!(!bench.deal.extend(id, LEASE, bench.now), "that delivery is over");
}

#[test]
fn the_end_of_a_connection_counts_only_after_a_while() {
    let mut bench = Bench::new(&[1, 2]);
    bench.join(1);
    bench.take(1);
    bench.later(4);
    bench.deal.leave(1, true, bench.now);
    bench.join(2);
    assert_eq!(bench.take(2), firsts(&[1, 2]));
    bench.later(5);
    bench.deal.leave(2, true, bench.now);
    bench.join(3);
    assert_eq!(bench.take(3), [(at(1), 2), (at(2), 2)]);
    bench.later(6);
    bench.deal.leave(3, false, bench.now);
    bench.join(4);
    assert_eq!(bench.take(4), [(at(1), 2), (at(2), 2)], "the gateway ended it");
}

#[test]
fn after_ten_attempts_an_event_is_set_aside_and_its_group_goes_on() {
    let mut bench = Bench::new(&[1, 1]);
    bench.join(1);
    for attempt in 1..=MAX_ATTEMPTS {
        assert_eq!(bench.take(1)[0], (at(1), attempt));
        bench.later(30);
    }
    assert_eq!(bench.take(1), firsts(&[2]));
    assert_eq!(bench.deal.cursor(), at(1));
    let rows = bench.deal.pending().rows;
    let row = rows[&at(1)].as_ref().unwrap();
    assert_eq!((row.state, row.attempt), (DeliveryState::Parked, MAX_ATTEMPTS));
    assert_eq!(bench.deal.parked().len(), 1);

    bench.deal.replay(at(1));
    assert!(bench.deal.parked().is_empty());
    let dealt = bench.deal.take(1, 100, bench.now);
    assert!(dealt[0].replayed && dealt[0].event.is_none());
    assert_eq!((dealt[0].id.cursor, dealt[0].attempt), (at(1), 1));
    bench.ack(&[1]);
    assert_eq!(bench.deal.pending().rows[&at(1)], None);
    assert_eq!(bench.ack(&[2]), at(2));
}

#[test]
fn what_was_written_is_taken_up_again() {
    let mut bench = Bench::new(&[1, 2, 3]);
    bench.join(1);
    bench.take(1);
    bench.later(30);
    bench.take(1);
    bench.ack(&[3]);
    let deliveries = bench.deal.pending().rows.into_iter();
    let deliveries = deliveries.filter_map(|(cursor, row)| Some((cursor, row?))).collect();
    let row = crate::store::CursorRow {
        bot_id: String::new(),
        name: String::new(),
        cursor: bench.deal.cursor(),
    };
    bench.deal = Deal::new(StoredConsumer { row, deliveries });
    bench.join(2);
    bench.read(&[1, 2, 3]);
    assert_eq!(bench.take(2), [(at(1), 2), (at(2), 2), (at(3), 1)]);
}

#[test]
fn another_filter_displaces_and_reads_again() {
    let mut bench = Bench::new(&[1, 2]);
    let displaced = bench.deal.join(1, TERMS, &Filter::default(), bench.now);
    assert_eq!(bench.take(1), firsts(&[1, 2]));
    bench.ack(&[1]);
    let grouped = Filter::only(&"02".repeat(32));
    bench.deal.join(2, TERMS, &grouped, bench.now);
    assert!(displaced.is_cancelled());
    bench.read(&[1, 2, 1]);
    assert_eq!(bench.take(2), firsts(&[2]));
    assert_eq!(bench.ack(&[2]), at(3), "what is not for it is settled");
}

#[test]
fn up_to_is_what_a_connection_had_before() {
    let mut bench = Bench::new(&[1, 2, 1, 2]);
    bench.deal.join(1, Terms { limit: 1, ..TERMS }, &Filter::default(), bench.now);
    bench.join(2);
    bench.take(1);
    let ids: Vec<_> = bench.deal.take(2, 100, bench.now).iter().map(|dealt| dealt.id).collect();
    bench.deal.settle_deliveries(ids[1], bench.now);
    assert_eq!(bench.deal.cursor(), at(0), "event 1 is with the other connection");
    assert_eq!(bench.deal.open(), 2);
    bench.deal.settle_own_up_to(1, at(9), bench.now);
    assert_eq!(bench.deal.cursor(), at(2));
    bench.deal.settle_up_to(at(9), bench.now);
    assert_eq!((bench.deal.cursor(), bench.deal.open()), (at(9), 0));
}

#[test]
fn who_let_a_lease_run_out_waits_behind_others() {
    let mut bench = Bench::new(&[1]);
    bench.join(1);
    bench.take(1);
    bench.join(2);
    bench.later(30);
    assert_eq!(bench.take(1), []);
    assert_eq!(bench.take(2), [(at(1), 2)]);
    bench.deal.alive(1);
    bench.deal.leave(2, false, bench.now);
    assert_eq!(bench.take(1), [(at(1), 2)]);
}

#[test]
fn a_poll_that_has_answered_keeps_what_it_answered() {
    let mut bench = Bench::new(&[1]);
    bench.deal.join(1, Terms { streams: false, ..TERMS }, &Filter::default(), bench.now);
    bench.take(1);
    bench.deal.leave(1, true, bench.now);
    bench.join(2);
    assert_eq!(bench.take(2), []);
    assert_eq!(bench.deal.connections(), 1);
    bench.later(30);
    assert_eq!(bench.take(2), [(at(1), 2)]);
}
