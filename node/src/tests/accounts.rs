//! Invites, bans, deletion, quotas and rates, as callers see them.

use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::{NAME_DOMAIN, TRANSFER_DOMAIN};
use tempfile::TempDir;

use super::client::{Client, Pushed, Session, TestNode, Who, code, config, run};
use super::directory::{claim as claim_packages, publish};
use crate::key_package::tests::Recipe;
use crate::{
    Clock, Operator, Rate, Registration, issue_access_token, key_package, revoke_access_token,
};

const NOT: Duration = Duration::ZERO;

fn clock() -> Clock {
    Clock::from_fn(|| key_package::tests::NOW)
}

async fn operator(dir: &TempDir) -> Operator {
    Operator::open(dir.path(), clock()).await.unwrap()
}

async fn come(client: &Client, who: &Who, invite: &str) -> Result<(), capnp::Error> {
    client.claim_with(who, invite).promise.await.map(|_| ())
}

#[test]
fn one_use_of_an_invite_admits_one_of_64_at_once() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut by_invite = config(&dir);
        by_invite.registration = Registration::Invite;
        let node = TestNode::start(by_invite).await;
        let invite = operator(&dir).await.create_invite("one", 1, None).await.unwrap();
        let client = Client::connect(&node).await;
        let refused = ErrorCode::RegistrationRefused;
        assert_eq!(code(come(&client, &Who::new(1), "").await), refused);
        assert_eq!(code(come(&client, &Who::new(1), "qpi_wrong").await), refused);
        let long = "x".repeat(129);
        assert_eq!(code(come(&client, &Who::new(1), &long).await), ErrorCode::TooLarge);

        let everybody: Vec<Who> = (1..=64).map(Who::new).collect();
        let tries = everybody.iter().map(|who| come(&client, who, invite.code()));
        let answers = futures::future::join_all(tries).await;
        let admitted: Vec<usize> = (0..64).filter(|n| answers[*n].is_ok()).collect();
        assert_eq!(admitted.len(), 1);
        for answer in answers.into_iter().filter(Result::is_err) {
            assert_eq!(code(answer), refused);
        }
        // Whoever is in comes back without one; the count is kept by the database.
        let admitted = Who { attempt: 2, ..everybody[admitted[0]].clone() };
        come(&client, &admitted, "").await.unwrap();
        let invites = operator(&dir).await.invites().await.unwrap();
        assert_eq!((invites[0].uses, invites[0].uses_left), (1, 0));
        node.stop().await;
    });
}

#[test]
fn a_ban_ends_the_session_its_tokens_and_waiting_fetches_within_a_second() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let (a, b) =
            (client.authenticate(&alice).await.unwrap(), client.authenticate(&bob).await.unwrap());
        let (bobs, alices) = (b.token().await.unwrap(), a.token().await.unwrap());
        let issued = issue_access_token(dir.path(), bob.identity(), 60, &clock()).await.unwrap().1;
        let waiting = client.fetch(&bobs, &bob, b"", 0, Duration::from_secs(50));
        let ban = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(operator(&dir).await.ban(bob.identity()).await.unwrap());
        };
        let (answer, ()) = tokio::join!(waiting, ban);
        assert_eq!(code(answer), ErrorCode::Banned);
        assert_eq!(code(b.send(1, &[&alice], b"", b"x").await), ErrorCode::Banned);
        assert_eq!(code(b.ack(1).await), ErrorCode::Banned);
        assert_eq!(code(b.token().await), ErrorCode::Banned);
        for token in [bobs.as_slice(), issued.as_bytes()] {
            let refused = code(client.fetch(token, &bob, b"", 0, NOT).await);
            assert_eq!(refused, ErrorCode::Unauthenticated);
            let refused = code(client.enqueue(token, &alice, b"x", b"").await);
            assert_eq!(refused, ErrorCode::Unauthenticated);
        }
        // A token from after the ban opens nothing either.
        let late = issue_access_token(dir.path(), bob.identity(), 60, &clock()).await.unwrap().1;
        let refused = client.fetch(late.as_bytes(), &bob, b"", 0, NOT).await;
        assert_eq!(code(refused), ErrorCode::Banned);
        let again = Who { attempt: 2, ..bob.clone() };
        assert_eq!(code(come(&client, &again, "").await), ErrorCode::Banned);
        // Others do not notice.
        a.send(1, &[&alice], b"", b"x").await.unwrap();

        operator(&dir).await.unban(bob.identity()).await.unwrap();
        let session = wait_for_unban(&client, &again).await;
        client.enqueue(&alices, &bob, b"x", b"").await.unwrap();
        assert_eq!(session.peek(0).await, [Pushed::Row(1, b"x".to_vec())]);
        node.stop().await;
    });
}

#[test]
fn nothing_comes_to_a_banned_identity_and_its_packages_stay_until_it_is_let_in_again() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob, carol) = (Who::new(1), Who::new(2), Who::new(3));
        let client = Client::connect(&node).await;
        let (a, b) =
            (client.authenticate(&alice).await.unwrap(), client.authenticate(&bob).await.unwrap());
        let c = client.authenticate(&carol).await.unwrap();
        let token = a.token().await.unwrap();
        let package = |who: &Who, serial| Recipe::new(&who.key, serial).bytes();
        let bobs = [package(&bob, 1), package(&bob, 2)];
        let last = Recipe::new(&bob.key, 3).last_resort().bytes();
        publish(&b, &bobs, &last).await.unwrap();
        let carols = [package(&carol, 1), package(&carol, 2)];
        publish(&c, &carols, b"").await.unwrap();
        let claimed = claim_packages(&a, &[&bob, &carol]).await.unwrap();
        assert_eq!(claimed, [bobs[0].clone(), carols[0].clone()]);
        assert_eq!(a.send(1, &[&bob, &carol], b"", b"1").await.unwrap(), [Some(1), Some(1)]);
        let before = client.enqueue(&token, &bob, b"2", b"").await;
        assert_eq!(before.unwrap(), 2);

        operator(&dir).await.ban(bob.identity()).await.unwrap();
        while b.token().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let claimed = claim_packages(&a, &[&bob, &carol]).await.unwrap();
        assert_eq!(claimed, [Vec::new(), carols[1].clone()]);
        assert_eq!(a.send(2, &[&bob, &carol], b"", b"3").await.unwrap(), [None, Some(2)]);
        let refused = client.enqueue(&token, &bob, b"4", b"").await;
        assert!(refused.as_ref().unwrap_err().extra.ends_with("has banned the recipient"));
        assert_eq!(code(refused), ErrorCode::Banned);

        operator(&dir).await.unban(bob.identity()).await.unwrap();
        let session = wait_for_unban(&client, &Who { attempt: 2, ..bob.clone() }).await;
        // The answer of a send stays what it was.
        assert_eq!(a.send(2, &[&bob, &carol], b"", b"3").await.unwrap(), [None, Some(2)]);
        let after = client.enqueue(&token, &bob, b"5", b"").await.unwrap();
        let row = |seq, payload: &[u8]| Pushed::Row(seq, payload.to_vec());
        let expected = [row(1, b"1"), row(2, b"2"), Pushed::Gap(3, 1), row(4, b"5")];
        assert_eq!(session.peek(0).await, expected);
        assert_eq!(after, 4);
        assert_eq!(claim_packages(&a, &[&bob]).await.unwrap(), [bobs[1].clone()]);
        node.stop().await;
    });
}

#[test]
fn a_fetch_that_waits_ends_when_its_token_is_taken_back_and_no_other_does() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let issue = async |who: &Who| {
            issue_access_token(dir.path(), who.identity(), 3_600, &clock()).await.unwrap()
        };
        let (revoked, alices) = issue(&alice).await;
        let (_, kept) = issue(&alice).await;
        let (_, bobs) = issue(&bob).await;
        let long = Duration::from_mins(1);
        let ends = async {
            let answer = client.fetch(alices.as_bytes(), &alice, b"", 0, long).await;
            assert_eq!(code(answer), ErrorCode::Unauthenticated);
            // The others wait on, until something comes.
            for (who, payload) in [(&alice, b"a"), (&bob, b"b")] {
                client.enqueue(bobs.as_bytes(), who, payload, b"").await.unwrap();
            }
        };
        let revoke = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert!(revoke_access_token(dir.path(), revoked.hash).await.unwrap());
        };
        let second = Client::connect(&node).await;
        let all = async {
            tokio::join!(
                ends,
                revoke,
                second.fetch(kept.as_bytes(), &alice, b"", 0, long),
                second.fetch(bobs.as_bytes(), &bob, b"", 0, long),
            )
        };
        let (.., alices, bobs) = tokio::time::timeout(long / 2, all).await.expect("in time");
        assert_eq!(alices.unwrap(), [(1, b"a".to_vec())]);
        assert_eq!(bobs.unwrap(), [(1, b"b".to_vec())]);
        node.stop().await;
    });
}

async fn wait_for_unban(client: &Client, who: &Who) -> Session {
    for _ in 0..100 {
        if let Ok(session) = client.authenticate(who).await {
            return session;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the ban is still there");
}

#[test]
fn a_ban_outlives_a_restart_and_comes_before_the_first_visit() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        TestNode::start(config(&dir)).await.stop().await;
        let bob = Who::new(2);
        assert!(operator(&dir).await.ban(bob.identity()).await.unwrap());
        let node = TestNode::start(config(&dir)).await;
        let client = Client::connect(&node).await;
        assert_eq!(code(come(&client, &bob, "").await), ErrorCode::Banned);
        node.stop().await;
    });
}

fn name_signature(who: &Who, name: &str) -> [u8; 64] {
    use ed25519_dalek::Signer;
    let length = [u8::try_from(name.len()).unwrap()];
    let signed = [NAME_DOMAIN, &length, name.as_bytes(), who.identity().as_bytes()].concat();
    who.key.sign(&signed).to_bytes()
}

async fn claim(session: &Session, who: &Who, name: &str) -> Result<(), capnp::Error> {
    let mut request = session.calls.claim_name_request();
    request.get().set_name(name);
    request.get().set_signature(&name_signature(who, name));
    request.send().promise.await.map(|_| ())
}

async fn delete(session: &Session, heir: &[u8], signature: &[u8]) -> Result<(), capnp::Error> {
    let mut request = session.calls.delete_identity_request();
    request.get().set_heir(heir);
    request.get().set_signature(signature);
    request.send().promise.await.map(|_| ())
}

fn transfer(from: &Who, to: &IdentityKey) -> [u8; 64] {
    use ed25519_dalek::Signer;
    let signed = [TRANSFER_DOMAIN, from.identity().as_bytes(), to.as_bytes()].concat();
    from.key.sign(&signed).to_bytes()
}

#[test]
fn a_deleted_identity_is_gone_and_its_names_are_for_its_heir() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let node = TestNode::start(config(&dir)).await;
        let (alice, bob, carol) = (Who::new(1), Who::new(2), Who::new(3));
        let client = Client::connect(&node).await;
        let a = client.authenticate(&alice).await.unwrap();
        let b = client.authenticate(&bob).await.unwrap();
        let c = client.authenticate(&carol).await.unwrap();
        claim(&a, &alice, "echo").await.unwrap();
        b.send(1, &[&alice], b"", b"x").await.unwrap();
        let token = a.token().await.unwrap();

        let issued =
            issue_access_token(dir.path(), alice.identity(), 60, &clock()).await.unwrap().1;
        let heir = bob.identity();
        let wrong = transfer(&bob, &heir);
        assert_eq!(code(delete(&a, heir.as_bytes(), &wrong).await), ErrorCode::BadSignature);
        assert_eq!(code(delete(&a, &[1; 31], &wrong).await), ErrorCode::BadId);
        assert_eq!(a.peek(0).await.len(), 1);
        delete(&a, heir.as_bytes(), &transfer(&alice, &heir)).await.unwrap();
        assert_eq!(code(a.ack(1).await), ErrorCode::Unauthenticated);
        assert_eq!(code(a.token().await), ErrorCode::Unauthenticated);
        for token in [token.as_slice(), issued.as_bytes()] {
            let refused = client.fetch(token, &alice, b"", 0, NOT).await;
            assert_eq!(code(refused), ErrorCode::Unauthenticated);
        }

        assert_eq!(code(claim(&c, &carol, "echo").await), ErrorCode::NameTaken);
        let a = client.authenticate(&alice).await.unwrap();
        assert_eq!((a.last_send.counter, a.acked_up_to), (0, 1));
        assert!(a.peek(0).await.is_empty());
        assert_eq!(code(claim(&a, &alice, "echo").await), ErrorCode::NameTaken);
        claim(&b, &bob, "echo").await.unwrap();

        // Without an heir only the operator can free a name.
        claim(&a, &alice, "lost").await.unwrap();
        delete(&a, b"", b"").await.unwrap();
        assert_eq!(code(claim(&c, &carol, "lost").await), ErrorCode::NameTaken);
        let mut operator = operator(&dir).await;
        assert!(operator.release_name("lost", Some(carol.identity())).await.unwrap());
        assert_eq!(code(claim(&b, &bob, "lost").await), ErrorCode::NameTaken);
        claim(&c, &carol, "lost").await.unwrap();
        node.stop().await;
    });
}

#[test]
fn rates_are_refused_with_their_code_and_change_nothing() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let mut strict = config(&dir);
        let hour = Duration::from_hours(1);
        strict.limits.rows_per_sender = Rate { burst: 3, period: hour };
        strict.limits.kibibytes_per_sender = Rate { burst: 10, period: hour };
        strict.limits.authentications_per_address = Rate { burst: 4, period: hour };
        strict.limits.registrations_per_address = Rate { burst: 2, period: hour };
        let node = TestNode::start(strict).await;
        let (alice, bob) = (Who::new(1), Who::new(2));
        let client = Client::connect(&node).await;
        let a = client.authenticate(&alice).await.unwrap();
        let b = client.authenticate(&bob).await.unwrap();
        let limited = ErrorCode::RateLimited;
        assert_eq!(code(come(&client, &Who::new(3), "").await), limited);
        let token = b.token().await.unwrap();
        // The fourth try; that it is nobody new does not help the fifth.
        come(&client, &Who { attempt: 2, ..alice.clone() }, "").await.unwrap();
        let a = client.authenticate(&Who { attempt: 3, ..alice.clone() }).await.map(|_| a);
        assert_eq!(code(a.map(|_| ())), limited);

        client.enqueue(&token, &alice, &[1; 9 * 1024], b"").await.unwrap();
        let too_much = client.enqueue(&token, &alice, &[2; 2048], b"").await;
        assert_eq!(code(too_much), limited);
        client.enqueue(&token, &bob, b"2", b"").await.unwrap();
        let too_many = client.enqueue(&token, &bob, b"3", b"").await;
        assert_eq!(code(too_many), limited);
        assert_eq!(b.peek(0).await.len(), 1);
        node.stop().await;
    });
}
