//! The proving ground: many sessions with real databases and real cryptography, over a node in
//! memory, in a time that stands still until it is moved (`quicproquo_client::simulation`).
//!
//! One generator decides what happens next: somebody says something, a group changes, an answer or
//! a row arrives, a link breaks, a process dies. What it decides follows from the seed; keys and
//! ids are random in every run, and with them sizes and the order of some requests. At the end
//! everything is mended, all comes to rest, and the [oracle] judges what each member saw.
//!
//! `cargo run -p quicproquo-tests --bin proving -- --seed 7` plays one run and tells its story.

mod hearing;
pub mod losses;
pub mod operation;
pub mod oracle;
pub mod play;
pub mod settle;
pub mod story;
pub mod world;

use std::fmt;

pub use losses::Loss;
pub use operation::{Kind, Operation};
pub use play::Odds;
pub use world::World;

/// What a run is made of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// How many sessions, each in a process of its own.
    pub members: usize,
    /// How many things happen before all is mended.
    pub steps: usize,
    /// How often which.
    pub odds: Odds,
    /// Whether things get lost for good, of which members are told.
    pub losses: bool,
    /// A promise that is broken, which the oracle must see.
    pub sabotage: Option<Sabotage>,
}

/// Promises of the node that can be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sabotage {
    /// A row disappears, and nobody is told.
    ForgetRow,
    /// Two rows of one queue change places.
    SwapRows,
}

impl Plan {
    /// The usual mixture for a seed: from two members who mostly talk to six on a bad day.
    pub fn new(seed: u64) -> Self {
        let mut rng = crate::seed::part(seed, 0);
        let members = rng.usize(2..=6);
        let steps = rng.usize(120..=240);
        let odds = Odds::draw(&mut rng);
        Self { seed, members, steps, odds, losses: false, sabotage: None }
    }

    /// As [`Plan::new`], and things get lost for good.
    pub fn with_losses(seed: u64) -> Self {
        let plan = Self::new(seed);
        Self { losses: true, odds: Odds { lose: 5, ..plan.odds }, ..plan }
    }

    /// Plays it.
    pub fn run(&self) -> Verdict {
        world::block_on(async {
            let mut world = World::new(self.seed, self.members).await;
            world.losses = self.losses;
            world.play(self).await;
            world.settle().await;
            world.judge().await;
            world.end().await
        })
    }
}

/// How a run ended.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What happened, a line each.
    pub story: Vec<String>,
    /// What must not have happened; none: all is well.
    pub faults: Vec<String>,
    /// Messages that members were told they cannot read, each for a reason that is allowed.
    pub told_losses: usize,
    /// Messages that were accepted.
    pub accepted: usize,
    /// Processes that died.
    pub crashes: usize,
    /// Writes that failed.
    pub failures: u64,
}

impl Verdict {
    /// # Panics
    /// With the story when something was wrong.
    pub fn assert_clean(&self, name: &str) {
        assert!(self.faults.is_empty(), "{name}\n{self}");
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.story {
            writeln!(f, "{line}")?;
        }
        writeln!(
            f,
            "{} messages, {} told losses, {} crashes, {} failed writes",
            self.accepted, self.told_losses, self.crashes, self.failures
        )?;
        for fault in &self.faults {
            writeln!(f, "FAULT: {fault}")?;
        }
        Ok(())
    }
}
