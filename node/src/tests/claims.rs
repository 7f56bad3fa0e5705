//! Key packages under many claimers (T13), and attackers that want them all.

use std::collections::HashSet;
use std::time::Duration;

use super::client::{Client, Session, TestNode, Who, config, run};
use crate::Rate;
use crate::key_package::CLASSIC;
use crate::key_package::tests::{NOW, Recipe};

const IDENTITIES: u8 = 100;
const CLAIMERS: u8 = 64;
/// One-time packages of each identity.
const PACKAGES: u32 = 100;

async fn publish(session: &Session, one_time: &[Vec<u8>], last_resort: &[u8]) {
    let mut request = session.calls.publish_key_packages_request();
    let mut list = request.get().init_one_time(u32::try_from(one_time.len()).unwrap());
    for (index, package) in (0..).zip(one_time) {
        list.set(index, package);
    }
    request.get().set_last_resort(last_resort);
    request.send().promise.await.unwrap();
}

async fn claim(session: &Session, of: &[&Who]) -> Vec<Vec<u8>> {
    let mut request = session.calls.claim_key_packages_request();
    request.get().set_ciphersuite(CLASSIC);
    let mut list = request.get().init_identities(u32::try_from(of.len()).unwrap());
    for (index, who) in (0..).zip(of) {
        list.set(index, who.identity().as_bytes());
    }
    let answer = request.send().promise.await.unwrap();
    let packages = answer.get().unwrap().get_packages().unwrap();
    packages.iter().map(|package| package.unwrap().to_vec()).collect()
}

#[test]
fn no_package_is_handed_out_twice_to_64_claimers() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut open = config(&dir);
        let no_limit = Rate { burst: 1, period: Duration::ZERO };
        (open.limits.claims_per_pair, open.limits.claims_per_target) = (no_limit, no_limit);
        let node = TestNode::start(open).await;
        let client = Client::connect(&node).await;
        let owners: Vec<Who> = (1..=IDENTITIES).map(Who::new).collect();
        for owner in &owners {
            let session = client.authenticate(owner).await.unwrap();
            let packages: Vec<_> =
                (0..PACKAGES).map(|serial| Recipe::new(&owner.key, serial).bytes()).collect();
            let last = Recipe::new(&owner.key, u32::MAX).last_resort().bytes();
            publish(&session, &packages, &last).await;
        }
        // On connections of their own: one has 64 calls in flight at most.
        let mut claimers = Vec::new();
        for n in 0..CLAIMERS {
            let client = Client::connect(&node).await;
            let session = client.authenticate(&Who::new(150 + n)).await.unwrap();
            claimers.push((client, session));
        }
        let all: Vec<&Who> = owners.iter().collect();
        let mut seen = HashSet::new();
        let mut last_resorts = 0;
        while last_resorts == 0 {
            let claims = claimers.iter().map(|(_, session)| claim(session, &all));
            for packages in futures::future::join_all(claims).await {
                for (owner, package) in owners.iter().zip(packages) {
                    let verified =
                        crate::key_package::verify(&package, &owner.identity(), NOW).unwrap();
                    if verified.last_resort {
                        last_resorts += 1;
                    } else {
                        assert!(seen.insert(package), "a package was handed out twice");
                    }
                }
            }
        }
        assert_eq!(seen.len(), usize::from(IDENTITIES) * PACKAGES as usize);
        node.stop().await;
    });
}

#[test]
fn attackers_with_many_identities_do_not_drain_a_stock() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        let owner = Who::new(1);
        let session = client.authenticate(&owner).await.unwrap();
        let packages: Vec<_> =
            (0..100).map(|serial| Recipe::new(&owner.key, serial).bytes()).collect();
        let last = Recipe::new(&owner.key, u32::MAX).last_resort().bytes();
        publish(&session, &packages, &last).await;
        let mut one_time = HashSet::new();
        for n in 0..100 {
            let attacker = client.authenticate(&Who::new(100 + n)).await.unwrap();
            let mut own = 0;
            for _ in 0..10 {
                let package = claim(&attacker, &[&owner]).await.remove(0);
                if package != last {
                    own += 1;
                    assert!(one_time.insert(package));
                }
            }
            assert!(own <= 6, "a pair gets six at once");
        }
        // A minute may pass in a slow run, and bring one more.
        assert!((60..=62).contains(&one_time.len()), "{} were handed out", one_time.len());
        let answer = session.calls.key_package_stock_request().send().promise.await.unwrap();
        let stock = answer.get().unwrap().get_stock().unwrap().get(0);
        assert_eq!(stock.get_one_time() as usize, 100 - one_time.len());
        node.stop().await;
    });
}
