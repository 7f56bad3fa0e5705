//! `qpq bench`: what things cost, beside what this machine can do at all.

mod chat;
mod gateway;
mod host;
mod node;
mod report;
mod sample;
mod session;

use crate::args::{Bench, BenchWhat};
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::progress;
use sample::Sample;

/// Bytes of a message of a conversation.
const BYTES: usize = 1024;

/// Measures and prints.
pub(crate) async fn run(settings: Settings, bench: Bench) -> Result<(), Failure> {
    if cfg!(debug_assertions) {
        progress("this build is not optimised: cargo run --release -- bench");
    }
    match bench.what.unwrap_or(BenchWhat::Chat) {
        BenchWhat::Chat => chat::run(settings, bench.quick, bench.json).await,
        BenchWhat::Gateway(gateway) => {
            gateway::run(settings, &gateway, bench.quick, bench.json).await
        }
        BenchWhat::Session(session) => {
            session::run(&settings, &session, bench.quick, bench.json).await
        }
        BenchWhat::Node(node) => node::run(&settings, &node, bench.quick, bench.json).await,
    }
}
