//! The one place where this crate reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::Identity;

#[cfg(feature = "simulation")]
use crate::simulation::{Busy, Process};
use crate::store::StoreError;

/// Unix time in milliseconds.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Unix time in seconds.
pub fn now_secs() -> u64 {
    now_ms() / 1000
}

/// Measures how long something took.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place that measures time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Nanoseconds since `earlier`, which was elapsed then.
    pub fn nanos_since(&self, earlier: Duration) -> u64 {
        u64::try_from(self.elapsed().saturating_sub(earlier).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The time in which sessions live: that of the machine, or of a simulated process, which may also
/// die at a [`Point`].
#[derive(Debug, Clone, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    #[cfg(feature = "simulation")]
    Simulated(Process),
}

/// A place between two steps of a unit of work, where a simulated process may die.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// The state in memory has changed, nothing is written.
    BeforeCommit,
    /// Everything is written, nobody knows.
    AfterCommit,
    /// Callers have their answers.
    AfterAnswer,
    /// An acknowledgement has left.
    AfterAck,
    /// Sends have left.
    AfterSend,
}

impl Point {
    /// All points, in the order in which a unit passes them.
    pub const ALL: [Self; 5] =
        [Self::BeforeCommit, Self::AfterCommit, Self::AfterAnswer, Self::AfterAck, Self::AfterSend];
}

impl Clock {
    /// Unix time in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        match self {
            Self::System => now_ms(),
            #[cfg(feature = "simulation")]
            Self::Simulated(process) => process.now_ms(),
        }
    }

    /// Lets time pass.
    pub(crate) fn sleep(&self, pause: Duration) -> BoxFuture<'static, ()> {
        match self {
            Self::System => tokio::time::sleep(pause).boxed(),
            #[cfg(feature = "simulation")]
            Self::Simulated(process) => process.sleep(pause).boxed(),
        }
    }

    /// Lets time pass in the middle of a unit of work.
    pub(crate) async fn pause(&self, pause: Duration) {
        match self {
            Self::System => tokio::time::sleep(pause).await,
            #[cfg(feature = "simulation")]
            Self::Simulated(process) => process.pause(pause).await,
        }
    }

    /// Runs a task for as long as its process lives.
    pub(crate) async fn live(self, task: impl Future<Output = ()>) {
        match self {
            Self::System => task.await,
            #[cfg(feature = "simulation")]
            Self::Simulated(process) => process.live(task).await,
        }
    }
}

#[cfg(not(feature = "simulation"))]
#[expect(clippy::unused_self, reason = "only a simulation has something to do here")]
impl Clock {
    /// An id for a group.
    pub(crate) fn new_group(&self) -> GroupId {
        GroupId::random()
    }

    /// An identity.
    pub(crate) fn new_identity(&self) -> Identity {
        Identity::generate()
    }

    /// For the simulation: rows are acknowledged one by one.
    #[inline]
    pub(crate) fn acknowledges_at_once(&self) -> bool {
        false
    }

    /// For the simulation: something is being done until what this answers is dropped.
    #[inline]
    pub(crate) fn busy(&self) -> impl Send + Sync + use<> {}

    /// For the simulation: the process may die here.
    #[inline]
    pub(crate) fn at(&self, _: Point) -> std::future::Ready<()> {
        std::future::ready(())
    }

    /// For the simulation: the disk may refuse this write.
    #[inline]
    pub(crate) fn write<T, W: Future<Output = Result<T, StoreError>>>(&self, write: W) -> W {
        write
    }
}

#[cfg(feature = "simulation")]
impl Clock {
    /// An id for a group: in a simulation the same one in each run, since groups are gone through
    /// in the order of their ids.
    pub(crate) fn new_group(&self) -> GroupId {
        match self {
            Self::System => GroupId::random(),
            Self::Simulated(process) => process.new_group(),
        }
    }

    /// An identity, in the same way.
    pub(crate) fn new_identity(&self) -> Identity {
        match self {
            Self::System => Identity::generate(),
            Self::Simulated(process) => process.new_identity(),
        }
    }

    /// Under every second seed rows are acknowledged one by one: so processes die between an
    /// acknowledgement and what is sent with it too.
    pub(crate) fn acknowledges_at_once(&self) -> bool {
        match self {
            Self::System => false,
            Self::Simulated(process) => process.seed() % 2 == 1,
        }
    }

    /// Something is being done until what this answers is dropped.
    pub(crate) fn busy(&self) -> Option<Busy> {
        match self {
            Self::System => None,
            Self::Simulated(process) => Some(process.busy()),
        }
    }

    /// The process may die here.
    pub(crate) async fn at(&self, point: Point) {
        match self {
            Self::System => {}
            Self::Simulated(process) => process.at(point).await,
        }
    }

    /// The disk may refuse this write.
    pub(crate) async fn write<T>(
        &self,
        write: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match self {
            Self::System => write.await,
            Self::Simulated(process) => process.write(write).await,
        }
    }
}
