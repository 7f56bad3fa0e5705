//! The proving ground: sessions under simulation, whatever happens to them.
//!
//! Each test has a short form, which the gate runs, and a long one (`cargo xtask long`).

mod ages;
mod asking;
mod backlog;
mod branches;
mod copies;
mod crash_points;
mod failing_writes;
mod life;
mod model;
mod overtaken;
mod races;
mod refusals;
mod seeds;
mod sequences;
mod stories;
