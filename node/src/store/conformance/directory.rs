//! Packages, names, hybrid keys.

use super::*;
use crate::store::SuiteStock;
use crate::store::write::{Claim, ClaimName, Package, Publish, PutHybridKey, Target};
use crate::store::write::{DirectoryWrite, DirectoryWritten};

on_each_directory_backend!(
    one_time_packages_leave_once_oldest_first_and_last_resorts_stay,
    packages_that_end_soon_are_passed_over_and_swept,
    a_claim_above_its_bytes_takes_nothing,
    the_stock_is_bounded_and_spent_packages_do_not_come_back,
    packages_are_replaced_where_new_ones_come_and_nobody_has_claimed_them,
    names_go_to_the_first,
    the_last_hybrid_key_counts,
);

const NOW: u64 = 1_000_000;
const CLAIM_BYTES: u64 = 20;

fn package(serial: u8, ciphersuite: u16, life: u64) -> Package {
    Package {
        ciphersuite,
        not_after: NOW + life,
        fingerprint: [serial; 32],
        data: Arc::from([serial].as_slice()),
    }
}

fn publish(of: u8, one_time: Vec<Package>, last_resort: Option<Package>) -> DirectoryWrite {
    DirectoryWrite::Publish(Publish {
        identity: key(of),
        one_time,
        last_resort,
        replace: false,
        limit: 5,
        now: NOW,
    })
}

fn claim(of: &[u8], ciphersuite: u16, one_time: bool) -> DirectoryWrite {
    let targets = of.iter().map(|of| Target { identity: key(*of), one_time }).collect();
    let alive_until = NOW + 35 * DAY;
    DirectoryWrite::Claim(Claim { targets, bytes: CLAIM_BYTES, ciphersuite, alive_until })
}

fn claimed(packages: &[&[u8]]) -> DirectoryWritten {
    DirectoryWritten::Claimed(packages.iter().map(|package| package.to_vec()).collect())
}

async fn one_time_packages_leave_once_oldest_first_and_last_resorts_stay(
    mut rig: DirectoryRig<impl DirectoryBackend>,
) {
    let life = 70 * DAY;
    let one_time = vec![package(1, 1, life), package(2, 1, life), package(3, 79, life)];
    let stock = rig.one(publish(5, one_time, Some(package(9, 1, life)))).await;
    let suites = [(1, 2, true), (79, 1, false)].map(|(ciphersuite, one_time, last_resort)| {
        SuiteStock { ciphersuite, one_time, last_resort }
    });
    assert_eq!(stock, Ok(DirectoryWritten::Stock(suites.to_vec())));
    assert_eq!(rig.reads.stock(key(5), NOW).await.unwrap(), suites);
    let answers = rig
        .batch(&[
            claim(&[5, 6], 1, true),
            claim(&[5], 1, false),
            claim(&[6, 5], 1, true),
            claim(&[5], 1, true),
            claim(&[5], 79, true),
            claim(&[5], 79, true),
        ])
        .await;
    let expected: [&[&[u8]]; 6] = [&[&[1], &[]], &[&[9]], &[&[], &[2]], &[&[9]], &[&[3]], &[&[]]];
    assert_eq!(answers, expected.map(|packages| Ok(claimed(packages))));
    rig.one(publish(5, vec![], Some(package(8, 1, life)))).await.unwrap();
    assert_eq!(rig.one(claim(&[5], 1, true)).await, Ok(claimed(&[&[8]])));
}

async fn packages_that_end_soon_are_passed_over_and_swept(
    mut rig: DirectoryRig<impl DirectoryBackend>,
) {
    let one_time = vec![package(1, 1, 34 * DAY), package(2, 1, 36 * DAY)];
    let stock = rig.one(publish(5, one_time, Some(package(9, 1, 34 * DAY)))).await;
    let claimable = SuiteStock { ciphersuite: 1, one_time: 1, last_resort: false };
    assert_eq!(stock, Ok(DirectoryWritten::Stock(vec![claimable])));
    assert_eq!(rig.reads.stock(key(5), NOW).await.unwrap(), [claimable]);
    assert_eq!(rig.one(claim(&[5], 1, true)).await, Ok(claimed(&[&[2]])));
    assert_eq!(rig.one(claim(&[5], 1, true)).await, Ok(claimed(&[&[]])));
    // What is not handed out is no stock, though it lives.
    assert!(rig.reads.stock(key(5), NOW).await.unwrap().is_empty());
    rig.now = NOW + 34 * DAY + 1;
    rig.sweep(10).await;
    assert!(rig.reads.stock(key(5), NOW).await.unwrap().is_empty());
}

async fn a_claim_above_its_bytes_takes_nothing(mut rig: DirectoryRig<impl DirectoryBackend>) {
    let sized = |serial, len: u8| Package {
        data: Arc::from(vec![serial; len.into()]),
        ..package(serial, 1, 70 * DAY)
    };
    rig.one(publish(5, vec![sized(1, 15), sized(2, 1)], None)).await.unwrap();
    rig.one(publish(6, vec![sized(3, 5)], None)).await.unwrap();
    rig.one(publish(7, vec![], Some(sized(4, 1)))).await.unwrap();
    let refused = Err(Refusal::ClaimTooLarge { bytes: 21, limit: CLAIM_BYTES });
    for _ in 0..2 {
        assert_eq!(rig.one(claim(&[5, 6, 7], 1, true)).await, refused);
    }
    assert_eq!(rig.one(claim(&[5, 6], 1, true)).await, Ok(claimed(&[&[1; 15], &[3; 5]])));
    assert_eq!(rig.one(claim(&[5, 6, 7], 1, true)).await, Ok(claimed(&[&[2], &[], &[4]])));
}

async fn the_stock_is_bounded_and_spent_packages_do_not_come_back(
    mut rig: DirectoryRig<impl DirectoryBackend>,
) {
    let many: Vec<Package> = (0..5).map(|serial| package(serial, 1, 70 * DAY)).collect();
    rig.one(publish(5, many.clone(), None)).await.unwrap();
    rig.one(publish(5, many.clone(), None)).await.unwrap();
    // Packages that end soon count as well: the limit bounds what is kept.
    let soon = publish(6, (0..6).map(|serial| package(serial, 1, 34 * DAY)).collect(), None);
    assert_eq!(rig.one(soon).await, Err(Refusal::StockFull));
    let more = publish(5, vec![package(6, 1, 70 * DAY)], None);
    assert_eq!(rig.one(more).await, Err(Refusal::StockFull));
    for serial in 0..5 {
        assert_eq!(rig.one(claim(&[5], 1, true)).await, Ok(claimed(&[&[serial]])));
    }
    assert_eq!(rig.one(publish(5, many, None)).await, Ok(DirectoryWritten::Stock(vec![])));
    assert_eq!(rig.one(claim(&[5], 1, true)).await, Ok(claimed(&[&[]])));
}

async fn packages_are_replaced_where_new_ones_come_and_nobody_has_claimed_them(
    mut rig: DirectoryRig<impl DirectoryBackend>,
) {
    let old = (1..=5).map(|serial| package(serial, 1, 70 * DAY)).collect();
    rig.one(publish(1, old, Some(package(6, 1, 70 * DAY)))).await.unwrap();
    rig.one(publish(1, vec![package(7, 2, 70 * DAY)], None)).await.unwrap();
    rig.one(publish(2, vec![package(8, 1, 70 * DAY)], None)).await.unwrap();
    assert_eq!(rig.one(claim(&[1], 1, true)).await, Ok(claimed(&[&[1]])));
    // The stock is full but for what is replaced; again, word for word, it changes nothing.
    for _ in 0..2 {
        let new = (11..=15).map(|serial| package(serial, 1, 70 * DAY)).collect();
        let DirectoryWrite::Publish(new) = publish(1, new, Some(package(16, 1, 70 * DAY))) else {
            unreachable!()
        };
        let write = DirectoryWrite::Publish(Publish { replace: true, ..new });
        let DirectoryWritten::Stock(stock) = rig.one(write).await.unwrap() else { unreachable!() };
        let counts: Vec<_> =
            stock.iter().map(|suite| (suite.ciphersuite, suite.one_time)).collect();
        assert_eq!(counts, [(1, 5), (2, 1)]);
    }
    for serial in 11..=15 {
        assert_eq!(rig.one(claim(&[1], 1, true)).await, Ok(claimed(&[&[serial]])));
    }
    assert_eq!(rig.one(claim(&[1], 1, true)).await, Ok(claimed(&[&[16]])));
    assert_eq!(rig.one(claim(&[1, 2], 2, true)).await, Ok(claimed(&[&[7], &[]])));
    assert_eq!(rig.one(claim(&[2], 1, true)).await, Ok(claimed(&[&[8]])));
}

async fn names_go_to_the_first(mut rig: DirectoryRig<impl DirectoryBackend>) {
    let named = |name: &str, of| {
        let (name, identity) = (name.to_owned(), key(of));
        DirectoryWrite::ClaimName(ClaimName { name, identity, signature: vec![of], limit: 2 })
    };
    let answers = rig
        .batch(&[named("b", 1), named("b", 1), named("b", 2), named("a", 1), named("c", 1)])
        .await;
    let taken = Err(Refusal::NameTaken);
    let done = Ok(DirectoryWritten::Done);
    let expected = [done.clone(), done.clone(), taken, done, Err(Refusal::TooManyNames)];
    assert_eq!(answers, expected);
    assert_eq!(rig.reads.name("b".into()).await.unwrap(), Some((key(1), vec![1])));
    assert_eq!(rig.reads.name("c".into()).await.unwrap(), None);
    assert_eq!(rig.reads.names_of(key(1)).await.unwrap(), ["b", "a"]);
}

async fn the_last_hybrid_key_counts(mut rig: DirectoryRig<impl DirectoryBackend>) {
    assert_eq!(rig.reads.hybrid_key(key(1)).await.unwrap(), None);
    for value in [1, 2] {
        let put = PutHybridKey { identity: key(1), key: vec![value; 3] };
        rig.one(DirectoryWrite::PutHybridKey(put)).await.unwrap();
    }
    assert_eq!(rig.reads.hybrid_key(key(1)).await.unwrap(), Some(vec![2; 3]));
}
