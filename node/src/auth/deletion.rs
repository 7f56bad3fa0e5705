//! Deletes an identity from both halves of the store.
//!
//! Nothing spans them in one transaction: the directory marks the identity, the queues let go of
//! it, if the caller is its live Session, and the directory deletes what it has, with the mark.
//! What a crash interrupts is finished at the next start.

use quicproquo_schemas::id::IdentityKey;
use quicproquo_schemas::limits::TRANSFER_DOMAIN;

use super::live::{Ended, Place};
use super::{AuthError, verify};
use crate::server::Shared;
use crate::store::write::{DeleteQueue, Deletion, DirectoryWrite, QueueWrite, QueueWritten};
use crate::writer::WriteError;

/// Removes an identity at the wish of its live Session, which ends with it. The signature is over
/// the heir of its names, if there is one.
pub(crate) async fn run(
    shared: &Shared,
    identity: IdentityKey,
    session: u64,
    place: &Place,
    heir: Option<IdentityKey>,
    signature: &[u8],
) -> Result<(), AuthError> {
    if let Some(heir) = &heir {
        let signed = [TRANSFER_DOMAIN, identity.as_bytes(), heir.as_bytes()].concat();
        if !verify(&identity, &signed, signature) {
            return Err(AuthError::BadTransfer);
        }
    }
    step(shared, Deletion::Mark { identity, heir }).await?;
    // First, so that a Session that comes right after the deletion does not meet this one.
    place.leave(Ended::Deleted);
    match delete_queue(shared, identity, Some(session)).await {
        Ok(()) => {}
        Err(WriteError::Refused(refusal)) => {
            step(shared, Deletion::Unmark { identity }).await?;
            return Err(WriteError::Refused(refusal).into());
        }
        Err(error) => return Err(error.into()),
    }
    step(shared, Deletion::Finish { identity }).await?;
    Ok(())
}

/// Finishes what a crash has interrupted, before anybody is served.
pub(crate) async fn resume(shared: &Shared) -> Result<(), WriteError> {
    let marked = shared.reads.deletions().await.map_err(|error| {
        tracing::error!(%error, "the deletions under way cannot be read");
        WriteError::Failed
    })?;
    for identity in marked {
        delete_queue(shared, identity, None).await?;
        step(shared, Deletion::Finish { identity }).await?;
    }
    Ok(())
}

async fn step(shared: &Shared, step: Deletion) -> Result<(), WriteError> {
    shared.directory.submit(DirectoryWrite::Deletion(step)).await?;
    Ok(())
}

/// In parts, so that the writer is not held up for long.
async fn delete_queue(
    shared: &Shared,
    identity: IdentityKey,
    session: Option<u64>,
) -> Result<(), WriteError> {
    let mut delete = DeleteQueue { identity, session };
    loop {
        match shared.writer.submit(QueueWrite::Delete(delete.clone())).await? {
            QueueWritten::Deleted { more: true } => delete.session = None,
            _ => return Ok(()),
        }
    }
}
