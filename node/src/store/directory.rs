//! One batch of the directory is one transaction.

use super::plan::{Swept, Tally};
use super::write::{DirectoryWrite, DirectoryWritten, PutBlob};
use super::{DirectoryBackend, Refusal, StoreError, blob};
use crate::writer::{Half, Outcome};

/// The directory, as its writer sees it.
#[derive(Debug)]
pub(crate) struct DirectoryHalf<B> {
    pub(crate) backend: B,
}

impl<B: DirectoryBackend> Half for DirectoryHalf<B> {
    type Write = DirectoryWrite;
    type Written = DirectoryWritten;

    fn size(write: &DirectoryWrite) -> usize {
        write.size()
    }

    async fn run(
        &mut self,
        batch: &[DirectoryWrite],
        _: u64,
    ) -> Result<Outcome<DirectoryWritten>, StoreError> {
        let backend = &mut self.backend;
        backend.begin().await?;
        let mut answers = Vec::with_capacity(batch.len());
        let mut outcome = Ok(());
        for write in batch {
            match one(backend, write).await {
                Ok(answer) => answers.push(answer),
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        finish(backend, outcome).await?;
        Ok(Outcome { answers, woken: Vec::new(), tally: Tally::default() })
    }

    async fn sweep(&mut self, now: u64, limit: u32) -> Result<Swept, StoreError> {
        self.backend.begin().await?;
        let mut more = false;
        let purged = self.backend.purge(now, limit).await.map(|left| more = left);
        finish(&mut self.backend, purged).await?;
        Ok(Swept { more, ..Swept::default() })
    }
}

async fn finish<B: DirectoryBackend>(
    backend: &mut B,
    outcome: Result<(), StoreError>,
) -> Result<(), StoreError> {
    let outcome = match outcome {
        Ok(()) => backend.commit().await,
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        backend.rollback().await;
    }
    outcome
}

async fn one<B: DirectoryBackend>(
    backend: &mut B,
    write: &DirectoryWrite,
) -> Result<Result<DirectoryWritten, Refusal>, StoreError> {
    Ok(match write {
        DirectoryWrite::Publish(publish) => {
            backend.publish(publish).await?.map(DirectoryWritten::Stock)
        }
        DirectoryWrite::Claim(claim) => backend.claim(claim).await?.map(DirectoryWritten::Claimed),
        DirectoryWrite::PutHybridKey(put) => {
            backend.put_hybrid_key(put).await?;
            Ok(DirectoryWritten::Done)
        }
        DirectoryWrite::ClaimName(claim) => {
            backend.claim_name(claim).await?.map(|()| DirectoryWritten::Done)
        }
        DirectoryWrite::Probe => {
            backend.probe().await?;
            Ok(DirectoryWritten::Done)
        }
        DirectoryWrite::Admit(admit) => {
            backend.admit(admit).await?.map(|()| DirectoryWritten::Done)
        }
        DirectoryWrite::Deletion(step) => {
            backend.delete(step).await?;
            Ok(DirectoryWritten::Done)
        }
        DirectoryWrite::PutBlob(put) => put_blob(backend, put).await?,
        DirectoryWrite::ReleaseBlob(release) => {
            backend.release_blob(release).await?;
            Ok(DirectoryWritten::Done)
        }
    })
}

async fn put_blob<B: DirectoryBackend>(
    backend: &mut B,
    put: &PutBlob,
) -> Result<Result<DirectoryWritten, Refusal>, StoreError> {
    let view = backend.load_blob(&put.owner, &put.sha256).await?;
    let (answer, change) = blob::put(&view, put);
    if let Some(change) = change {
        backend.apply_blob(put, view.upload.as_ref(), change).await?;
    }
    Ok(answer.map(DirectoryWritten::Blob))
}
