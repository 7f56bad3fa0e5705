//! Many readers. They are spread over the processors: one task for all of them would still read when
//! everything has been written.

use std::thread::available_parallelism;

use futures::future::try_join_all;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::super::Sample;
use super::ear::{Ear, in_time};
use crate::clock::Stopwatch;
use crate::exit::Failure;

/// Readers who are told the same.
pub(super) struct Crowd {
    /// The readers of each task.
    rows: Vec<Vec<Ear>>,
    tasks: TaskTracker,
}

impl Crowd {
    pub(super) fn of(ears: Vec<Ear>) -> Self {
        let mut rows: Vec<Vec<Ear>> = Vec::new();
        rows.resize_with(available_parallelism().map_or(1, usize::from), Vec::new);
        let count = rows.len();
        for (n, ear) in ears.into_iter().enumerate() {
            rows[n % count].push(ear);
        }
        Self { rows, tasks: TaskTracker::new() }
    }

    /// Nanoseconds from now until each has heard what they are told.
    pub(super) async fn hear(
        &mut self,
        telling: impl Future<Output = Result<(), Failure>>,
    ) -> Result<Sample, Failure> {
        let watch = Stopwatch::start();
        let hearing = std::mem::take(&mut self.rows).into_iter().map(|mut row| {
            let hearing = self.tasks.spawn(async move {
                let hears = row.iter_mut().map(|ear| async move {
                    ear.hear().await?;
                    Ok::<_, Failure>(watch.nanos())
                });
                let heard = try_join_all(hears).await?;
                Ok::<_, Failure>((row, heard))
            });
            let hearing = AbortOnDropHandle::new(hearing);
            async { hearing.await.map_err(Failure::other)? }
        });
        let hearing: Vec<_> = hearing.collect();
        let (heard, ()) = tokio::try_join!(in_time(try_join_all(hearing)), telling)?;
        let (rows, heard): (Vec<_>, Vec<_>) = heard.into_iter().unzip();
        self.rows = rows;
        Ok(heard.concat().into())
    }

    /// The text of the next frame that has a message, which everybody gets.
    pub(super) async fn frame(&mut self) -> Result<Vec<u8>, Failure> {
        let frames = try_join_all(self.rows.iter_mut().flatten().map(Ear::frame)).await?;
        frames.into_iter().next().ok_or_else(|| Failure::other("no sockets"))
    }
}
