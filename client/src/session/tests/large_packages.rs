//! Key packages that are too many bytes for one answer of the node.

use quicproquo_core::identity::{Identity, IdentityKey};
use quicproquo_core::suite::Suite;
use quicproquo_schemas::code::ErrorCode;

use super::stranger::Stranger;
use super::world::World;
use crate::rpc::RpcError;

/// Of these, nine are more than the 8 MiB of an answer.
const BYTES: usize = 1_000_000;
const OWNERS: usize = 19;
/// Of these, all are more than one claim gathers.
const TOO_MANY: usize = 22;
/// An extension of no meaning.
const PADDING: u16 = 0xf0fe;

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_is_too_large_for_one_answer_is_made_in_parts() {
    let world = World::new().await;
    // Somebody in the middle has none.
    let owners = owners(&world, OWNERS, Some(OWNERS / 2)).await;
    let claimer = Stranger::connect(&world).await;
    let packages = claimer.packages(&owners, Suite::Envelope).await;
    assert_eq!(packages.len(), OWNERS);
    for (number, (owner, package)) in owners.iter().zip(&packages).enumerate() {
        let is_of = |package: &Vec<u8>| has(package, owner) && package.len() > BYTES;
        assert_eq!(package.as_ref().map(is_of), (number != OWNERS / 2).then_some(true));
    }
    assert!(claimer.packages(&owners, Suite::Envelope).await.iter().all(Option::is_none));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_gathers_no_more_than_its_bound() {
    let world = World::new().await;
    let owners = owners(&world, TOO_MANY, None).await;
    let claimer = Stranger::connect(&world).await;
    let refused = claimer.try_packages(&owners, Suite::Envelope).await.unwrap_err();
    assert!(matches!(&refused, RpcError::Coded { code: ErrorCode::TooLarge, .. }), "{refused}");
}

/// So many with one large package each, but for one that may lack it.
async fn owners(world: &World, count: usize, without: Option<usize>) -> Vec<IdentityKey> {
    let mut owners = Vec::new();
    for number in 0..count {
        let owner = Stranger::connect(world).await;
        if without != Some(number) {
            owner.publish_these(vec![key_package(&owner.identity, BYTES)]).await;
        }
        owners.push(owner.identity.key());
    }
    owners
}

fn has(package: &[u8], owner: &IdentityKey) -> bool {
    package.windows(owner.as_bytes().len()).any(|part| part == owner.as_bytes())
}

/// A valid package (RFC 9420, section 10) without a hybrid key, with so many bytes in an extension.
pub(super) fn key_package(owner: &Identity, bytes: usize) -> Vec<u8> {
    let (key, suite, now) = (owner.key(), Suite::Envelope.code(), crate::clock::now_secs());
    let numbers = |of: &[u16]| vector(&plain(of));
    let signed = |label: &[u8], content: &[u8]| {
        let content = [vector(&[b"MLS 1.0 ", label].concat()), vector(content)].concat();
        vector(&owner.sign(&content))
    };
    let padding = [&PADDING.to_be_bytes()[..], &vector(&vec![0; bytes])].concat();
    let mut leaf = [
        vector(&[2; 32]),
        vector(key.as_bytes()),
        vec![0, 1],
        vector(key.as_bytes()),
        [numbers(&[1]), numbers(&[suite]), numbers(&[PADDING]), numbers(&[]), numbers(&[1])]
            .concat(),
        vec![1],
        [now - 60, now + 80 * 24 * 3_600].map(u64::to_be_bytes).concat(),
        vector(&padding),
    ]
    .concat();
    leaf.extend(signed(b"LeafNodeTBS", &leaf));
    let mut package = [plain(&[1, suite]), vector(&[1; 32]), leaf, vector(&[])].concat();
    package.extend(signed(b"KeyPackageTBS", &package));
    package
}

fn plain(of: &[u16]) -> Vec<u8> {
    of.iter().flat_map(|n| n.to_be_bytes()).collect()
}

/// `opaque x<V>` (RFC 9420, section 2.1.2).
fn vector(content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap();
    let mut bytes = match length {
        0..0x40 => length.to_be_bytes()[3..].to_vec(),
        0x40..0x4000 => (length | 0x4000).to_be_bytes()[2..].to_vec(),
        _ => (length | 0x8000_0000).to_be_bytes().to_vec(),
    };
    bytes.extend(content);
    bytes
}
