//! What a conversation costs.

mod conversation;
pub(super) mod floors;
mod rows;

use std::time::Duration;

use tempfile::TempDir;

use super::report::{Report, Row};
use super::{BYTES, Sample};
use crate::commands::demo::{admin, in_directory};
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::progress;
use crate::shutdown::Signals;
use crate::stack::Stack;
use conversation::Pair;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Rounds of everything; the median round counts.
    rounds: usize,
    /// Messages of one round, one after the other.
    messages: usize,
    /// Encryptions, per round.
    floor: usize,
    /// Time of each other floor and load, per round.
    time: Duration,
}

/// Measures and prints.
pub(super) async fn run(settings: Settings, quick: bool, json: bool) -> Result<(), Failure> {
    let effort = if quick {
        Effort { rounds: 3, messages: 200, floor: 200, time: Duration::from_millis(100) }
    } else {
        Effort { rounds: 5, messages: 1000, floor: 1000, time: Duration::from_millis(500) }
    };
    let mut signals = Signals::install()?;
    let dir = TempDir::new().map_err(|e| Failure::other(format!("temporary directory: {e}")))?;
    let stack = Stack::up(&in_directory(settings, &dir)).await?;
    let measured = tokio::select! {
        measured = measure(&stack, &dir, effort) => measured,
        () = signals.end() => Err(Failure::other("interrupted")),
    };
    let stopped = stack.stop().await;
    measured?.print(json)?;
    stopped
}

/// Rounds of floors and of our own measurements take turns, so that a slow minute of the machine
/// strikes both.
async fn measure(stack: &Stack, dir: &TempDir, effort: Effort) -> Result<Report, Failure> {
    progress("two bots get to know each other");
    let mut pair = Pair::meet(&admin(stack)?).await?;
    pair.latencies(effort.messages / 10).await?;
    let load = rows::connect(stack.node_facts()?).await?;

    let mut report = Report::default();
    for round in 1..=effort.rounds {
        progress(format_args!("round {round} of {}", effort.rounds));
        let floors = floors::measure(dir.path(), effort.time, effort.floor).await?;
        let latency = pair.latencies(effort.messages).await?;
        report.add("message POST to WebSocket", Row::time(&latency, Some(floors.message_nanos())));
        for in_flight in [1, 16] {
            let (rate, latency) = pair.rate(effort.messages, in_flight).await?;
            let name = format!("messages, {in_flight} in flight");
            report.add(&name, Row::rate(rate, floors.messages_per_second(in_flight)));
            if in_flight > 1 {
                report.add(&format!("{name}, POST to WebSocket"), Row::time(&latency, None));
            }
        }
        for in_flight in rows::LOADS {
            let (latency, rate) = rows::enqueue(&load, in_flight, effort.time).await?;
            let name = format!("node enqueue, {in_flight} in flight");
            report.add(&name, Row::rate(rate, floors.rows_per_second(in_flight)));
            let floor = floors.enqueue_nanos(in_flight);
            report.add(&format!("{name}, answer"), Row::time(&latency, Some(floor)));
        }
        for (name, sample) in floors.rows() {
            report.add(name, Row::time(&sample, None));
        }
    }
    Ok(report)
}
