//! What the engine of a session costs: the cryptography, its state and its database.

mod floors;
mod many;
mod memory;
mod room;

use super::host::{Host, scratch};
use super::report::{Report, Row};
use crate::args::BenchSession;
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::progress;
use crate::shutdown::Signals;
use floors::Floors;
use quicproquo_client::Suite;
use quicproquo_client::bench::Dam;
use room::Room;

/// Bytes of a message.
const BYTES: usize = 1024;
/// Messages under way at once.
const IN_FLIGHT: usize = 64;
/// Messages of one measurement without a node: after a thousand they wait for a change of keys, which
/// nobody decides then.
const ALONE: usize = 300;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Messages of one measurement, in small groups.
    messages: usize,
}

impl Effort {
    /// Sealing for many takes long.
    fn messages_among(self, suite: Suite, members: usize) -> usize {
        let most = if suite == Suite::Envelope { 40_000 / members } else { self.messages };
        most.clamp(40, self.messages)
    }
}

/// Measures and prints.
pub(super) async fn run(
    settings: &Settings,
    args: &BenchSession,
    quick: bool,
    json: bool,
) -> Result<(), Failure> {
    let effort = if quick {
        Effort { rounds: 1, messages: 200 }
    } else {
        Effort { rounds: 3, messages: 1000 }
    };
    let mut signals = Signals::install()?;
    let dir = scratch(&settings.data_dir)?;
    let measured = async {
        match args.memory {
            Some(bots) => memory::measure(dir.path(), bots as usize).await,
            None => measure(dir.path(), &args.members, effort).await,
        }
    };
    let report = tokio::select! {
        measured = measured => measured?,
        () = signals.end() => return Err(Failure::other("interrupted")),
    };
    report.print(json)
}

async fn measure(dir: &std::path::Path, sizes: &[u32], effort: Effort) -> Result<Report, Failure> {
    let mut report = Report::default();
    for members in sizes.iter().map(|members| *members as usize) {
        for suite in Suite::ALL {
            progress(format_args!("{} group of {members}", policy(suite)));
            let messages = effort.messages_among(suite, members);
            for _ in 0..effort.rounds {
                let host = Host::start(dir).await?;
                let room = Room::fill(dir, &host, suite, members).await?;
                let floors = Floors::measure(dir, suite, members, messages)?;
                measure_room(room, host, &floors, messages, &mut report).await?;
            }
        }
    }
    for sessions in [1, 50] {
        progress(format_args!("{sessions} sessions"));
        for _ in 0..effort.rounds {
            let rate = many::rate(dir, sessions, effort.messages).await?;
            report.add(&format!("{sessions} sessions, 16 in flight"), Row::plain("1/s", rate));
        }
    }
    Ok(report)
}

fn policy(suite: Suite) -> &'static str {
    match suite {
        Suite::Native => "native",
        Suite::Envelope => "envelope",
    }
}

async fn measure_room(
    room: Room,
    host: Host,
    floors: &Floors,
    messages: usize,
    report: &mut Report,
) -> Result<(), Failure> {
    let name = |what: &str| format!("{} {}: {what}", policy(room.suite), room.members);
    // The listener is away meanwhile, and finds it all later.
    let listener = room.close_listener().await;
    let rate = room.send_all(messages, true).await?;
    report.add(&name("delivered, 64 in flight"), Row::rate(rate, floors.send_rate(IN_FLIGHT)));
    let (rate, bytes) = room.receive_all(listener, messages).await?;
    report.add(&name("receive after a start"), Row::rate(rate, floors.receive_rate()));
    report.add(&name("receive, writes"), Row::plain("B", bytes));
    let pushed = messages.min(Dam::ROWS);
    room.send_all(pushed, true).await?;
    let rate = room.take_all(pushed).await?;
    report.add(&name("receive"), Row::rate(rate, floors.receive_rate()));
    // Without a node nothing but the engine works.
    host.stop().await?;
    room.settle().await;
    let alone = messages.min(ALONE);
    let before = room.written();
    let latency = room.send_each(alone).await?;
    let floor = floors.send_nanos();
    report.add(&name("send, 1 in flight"), Row::time(&latency, Some(floor)));
    report.add(&name("send, writes"), Row::plain("B", room.written_since(before, alone)));
    let before = room.written();
    let rate = room.send_all(alone, false).await?;
    report.add(&name("send, 64 in flight"), Row::rate(rate, floors.send_rate(IN_FLIGHT)));
    let name = name("send, 64 in flight, writes");
    report.add(&name, Row::plain("B", room.written_since(before, alone)));
    room.close().await;
    Ok(())
}
