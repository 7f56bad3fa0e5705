//! Key packages, hybrid keys, names.

use std::collections::HashSet;

use ed25519_dalek::Signer;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::limits::{HYBRID_PUBLIC_KEY_LEN, NAME_DOMAIN};

use super::client::{Client, Session, TestNode, Who, code, config, put_token, run};
use crate::key_package::CLASSIC;
use crate::key_package::tests::Recipe;

pub(super) async fn publish(
    session: &Session,
    one_time: &[Vec<u8>],
    last_resort: &[u8],
) -> Result<Vec<(u16, u32, bool)>, capnp::Error> {
    let mut request = session.calls.publish_key_packages_request();
    let mut params = request.get();
    let mut list = params.reborrow().init_one_time(u32::try_from(one_time.len()).unwrap());
    for (index, package) in (0..).zip(one_time) {
        list.set(index, package);
    }
    params.set_last_resort(last_resort);
    let answer = request.send().promise.await?;
    let stock = answer.get()?.get_stock()?;
    Ok(stock
        .iter()
        .map(|suite| (suite.get_ciphersuite(), suite.get_one_time(), suite.get_has_last_resort()))
        .collect())
}

pub(super) async fn claim(session: &Session, of: &[&Who]) -> Result<Vec<Vec<u8>>, capnp::Error> {
    let mut request = session.calls.claim_key_packages_request();
    let mut params = request.get();
    params.set_ciphersuite(CLASSIC);
    let mut list = params.init_identities(u32::try_from(of.len()).unwrap());
    for (index, who) in (0..).zip(of) {
        list.set(index, who.identity().as_bytes());
    }
    let answer = request.send().promise.await?;
    let packages = answer.get()?.get_packages()?;
    packages.iter().map(|package| Ok(package?.to_vec())).collect()
}

fn packages(who: &Who, count: u32) -> Vec<Vec<u8>> {
    (0..count).map(|serial| Recipe::new(&who.key, serial).bytes()).collect()
}

#[test]
fn sixty_four_claimers_never_get_the_same_package() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(200);
        let owner = Client::connect(&node).await;
        let owner = owner.authenticate(&bob).await.unwrap();
        let last = Recipe::new(&bob.key, 9_999).last_resort().bytes();
        let stock = publish(&owner, &packages(&bob, 60), &last).await.unwrap();
        assert_eq!(stock, [(CLASSIC, 60, true)]);

        let client = Client::connect(&node).await;
        let mut sessions = Vec::new();
        for seed in 0..64 {
            sessions.push(client.authenticate(&Who::new(seed)).await.unwrap());
        }
        let bob = &bob;
        let claims = sessions.iter().map(async |session| claim(session, &[bob]).await.unwrap());
        let mut seen = HashSet::new();
        let mut last_resorts = 0;
        for mut claimed in futures::future::join_all(claims).await {
            let package = claimed.remove(0);
            if package == last {
                last_resorts += 1;
            } else {
                assert!(seen.insert(package), "handed out twice");
            }
        }
        assert_eq!((seen.len(), last_resorts), (60, 4));
        // Publishing again what was handed out changes nothing.
        let stock = publish(&owner, &packages(bob, 60), &[]).await.unwrap();
        assert_eq!(stock, [(CLASSIC, 0, true)]);
        node.stop().await;
    });
}

#[test]
fn over_the_rate_the_last_resort_is_handed_out_and_short_lives_are_not() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob, carol) = (Who::new(1), Who::new(2), Who::new(3));
        let client = Client::connect(&node).await;
        let owner = client.authenticate(&bob).await.unwrap();
        let last = Recipe::new(&bob.key, 9_999).last_resort().bytes();
        publish(&owner, &packages(&bob, 10), &last).await.unwrap();
        let claimer = client.authenticate(&alice).await.unwrap();
        for serial in 0..6 {
            let claimed = claim(&claimer, &[&bob, &carol]).await.unwrap();
            assert_eq!(claimed, [Recipe::new(&bob.key, serial).bytes(), Vec::new()]);
        }
        assert_eq!(claim(&claimer, &[&bob]).await.unwrap(), std::slice::from_ref(&last));
        assert_eq!(claim(&claimer, &[&bob]).await.unwrap(), [last]);

        let short = client.authenticate(&carol).await.unwrap();
        let mut recipe = Recipe::new(&carol.key, 0);
        recipe.lifetime.1 = crate::key_package::tests::NOW + 34 * 24 * 3600;
        publish(&short, &[recipe.bytes()], &[]).await.unwrap();
        assert_eq!(claim(&claimer, &[&carol]).await.unwrap(), [Vec::new()]);
        let foreign = publish(&short, &packages(&bob, 1), &[]).await;
        assert_eq!(code(foreign), ErrorCode::BadKeyPackage);
        let unmarked = publish(&short, &[], &packages(&carol, 1)[0]).await;
        assert_eq!(code(unmarked), ErrorCode::BadKeyPackage);
        node.stop().await;
    });
}

#[test]
fn base_clients_publish_and_claim_packages_and_hybrid_keys() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let bob = Who::new(2);
        let client = Client::connect(&node).await;
        let session = client.authenticate(&bob).await.unwrap();
        let token = session.token().await.unwrap();
        let identity = bob.identity();
        let upload = async |package: &[u8]| {
            let mut request = client.service().upload_key_package_request();
            request.get().set_identity_key(identity.as_bytes());
            request.get().set_package(package);
            put_token(request.get().init_auth(), &token);
            request
                .send()
                .promise
                .await
                .map(|answer| answer.get().unwrap().get_fingerprint().unwrap().to_vec())
        };
        let fetch = async || {
            let mut request = client.service().fetch_key_package_request();
            request.get().set_identity_key(identity.as_bytes());
            put_token(request.get().init_auth(), &token);
            let answer = request.send().promise.await.unwrap();
            answer.get().unwrap().get_package().unwrap().to_vec()
        };
        let package = packages(&bob, 1).remove(0);
        assert!(fetch().await.is_empty());
        assert_eq!(upload(&package).await.unwrap(), crate::auth::hash(&package));
        assert_eq!(fetch().await, package);
        assert!(fetch().await.is_empty());
        assert_eq!(code(upload(b"junk").await), ErrorCode::BadKeyPackage);

        let put = async |key: &[u8]| {
            let mut request = client.service().upload_hybrid_key_request();
            request.get().set_identity_key(identity.as_bytes());
            request.get().set_hybrid_public_key(key);
            put_token(request.get().init_auth(), &token);
            request.send().promise.await.map(|_| ())
        };
        let get = async || {
            let mut request = client.service().fetch_hybrid_key_request();
            request.get().set_identity_key(identity.as_bytes());
            put_token(request.get().init_auth(), &token);
            let answer = request.send().promise.await.unwrap();
            answer.get().unwrap().get_hybrid_public_key().unwrap().to_vec()
        };
        assert!(get().await.is_empty());
        assert_eq!(code(put(&[1; 3]).await), ErrorCode::BadHybridKey);
        put(&[1; HYBRID_PUBLIC_KEY_LEN]).await.unwrap();
        put(&[2; HYBRID_PUBLIC_KEY_LEN]).await.unwrap();
        assert_eq!(get().await, [2; HYBRID_PUBLIC_KEY_LEN]);
        node.stop().await;
    });
}

#[test]
fn a_name_belongs_to_whoever_claimed_it_first() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let (a, b) =
            (client.authenticate(&alice).await.unwrap(), client.authenticate(&bob).await.unwrap());
        let claim = async |session: &Session, who: &Who, name: &str| {
            let length = [u8::try_from(name.len()).unwrap()];
            let identity = who.identity();
            let signed = [NAME_DOMAIN, &length, name.as_bytes(), identity.as_bytes()].concat();
            let mut request = session.calls.claim_name_request();
            request.get().set_name(name);
            request.get().set_signature(&who.key.sign(&signed).to_bytes());
            request.send().promise.await.map(|_| ())
        };
        for name in ["echo", "echo", "a", "b", "c"] {
            claim(&a, &alice, name).await.unwrap();
        }
        assert_eq!(code(claim(&a, &alice, "d").await), ErrorCode::TooManyNames);
        assert_eq!(code(claim(&b, &bob, "echo").await), ErrorCode::NameTaken);
        assert_eq!(code(claim(&b, &bob, "Echo").await), ErrorCode::BadName);
        assert_eq!(code(claim(&b, &alice, "free").await), ErrorCode::BadSignature);

        let mut request = client.node.resolve_name_request();
        request.get().set_name("echo");
        let answer = request.send().promise.await.unwrap();
        let owner = answer.get().unwrap().get_identity_key().unwrap().to_vec();
        assert_eq!(owner, alice.identity().as_bytes());
        let mut request = client.node.names_of_request();
        request.get().set_identity_key(alice.identity().as_bytes());
        let answer = request.send().promise.await.unwrap();
        let names = answer.get().unwrap().get_names().unwrap();
        let names: Vec<_> = names.iter().map(|name| name.unwrap().to_string().unwrap()).collect();
        assert_eq!(names, ["echo", "a", "b", "c"]);
        node.stop().await;
    });
}
