//! Why a commit is processed and merged in one transaction: the crash between two.

use openmls::prelude::tls_codec::Deserialize as _;
use openmls::prelude::{MlsMessageIn, ProcessedMessageContent};

use super::support::{Peer, assert_agreed, group_of};
use crate::group::{Group, ProcessError, Staged, Undecryptable};
use crate::id::GroupId;
use crate::suite::{Profile, Suite};

/// Processes a commit and does not merge it.
fn process_alone(group: &mut Group, commit: &[u8]) {
    let message = MlsMessageIn::tls_deserialize_exact(commit).unwrap();
    let message = message.try_into_protocol_message().unwrap();
    let processed = group.mls.process_message(&group.provider, message).unwrap();
    assert!(matches!(processed.into_content(), ProcessedMessageContent::StagedCommitMessage(_)));
}

fn commit(suite: Suite) -> (Vec<Peer>, GroupId, Staged) {
    let (mut peers, id) = group_of(3, suite, Profile::Standard);
    let staged = peers[0].with(&id, |group, identity| group.update_keys(identity, None)).unwrap();
    peers[0].merge(&id);
    peers[1].applies(&id, &staged.commit);
    (peers, id, staged)
}

#[test]
fn a_crash_between_processing_and_merging_bricks_the_member() {
    for suite in Suite::ALL {
        let (mut peers, id, staged) = commit(suite);
        // The protection is off: the first transaction has processed, the second is never made.
        peers[2].with(&id, |group, _| process_alone(group, &staged.commit));
        for _ in 0..3 {
            let again = peers[2].process(&id, &staged.commit);
            assert_eq!(again, Err(ProcessError::Undecryptable(Undecryptable::Replayed)));
        }
        // It stays behind for ever.
        let message = peers[0].encrypt(&id, b"after");
        assert_eq!(
            peers[2].process(&id, &message),
            Err(ProcessError::WrongEpoch { message_epoch: 2, group_epoch: 1 })
        );
    }
}

#[test]
fn a_crash_before_the_one_transaction_leaves_nothing() {
    for suite in Suite::ALL {
        let (mut peers, id, staged) = commit(suite);
        // Processed and merged in memory, and never written.
        peers[2].load(&id).process(&staged.commit).unwrap();
        peers[2].applies(&id, &staged.commit);
        assert_agreed(&peers, &id);
        let message = peers[0].encrypt(&id, b"after");
        peers[2].reads(&id, &message, b"after");
    }
}
