//! What a node does per second and how soon, beside the floors of the same run.

mod cases;
mod depths;
mod floors;
mod table;

use std::path::{Path, PathBuf};
use std::time::Duration;

use quicproquo_client::bench::{Crowd, NodeBench, Packages};
use quicproquo_client::{NodeAddress, Trust};

use super::host::{Host, scratch};
use crate::args::BenchNode;
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::{progress, say};
use crate::shutdown::Signals;
use cases::{CONNECTIONS, Case, PACE};
use floors::Floors;
use table::{Figure, Table};

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    /// Rounds of everything; the median round counts.
    rounds: usize,
    /// Time of each case and floor, per round.
    time: Duration,
    /// Rows of an open loop and of its floors, packages of each owner, and a tenth of the rows of a
    /// backlog.
    count: usize,
}

impl Effort {
    /// Time of an open loop.
    fn paced(self) -> Duration {
        PACE * u32::try_from(self.count).unwrap_or(u32::MAX)
    }
}

/// Measures and prints.
pub(super) async fn run(
    settings: &Settings,
    args: &BenchNode,
    quick: bool,
    json: bool,
) -> Result<(), Failure> {
    let mut effort = if quick {
        Effort { rounds: 1, time: Duration::from_millis(100), count: 100 }
    } else {
        Effort { rounds: 5, time: Duration::from_millis(500), count: 500 }
    };
    effort.rounds = args.rounds.unwrap_or(effort.rounds).max(1);
    let cases = cases::all(&args.filter, args.node.is_some());
    if args.list {
        for case in &cases {
            say(&case.name);
        }
        return Ok(());
    }
    if cases.is_empty() {
        return Err(Failure::usage("no row has such a name; --list shows them"));
    }
    let mut signals = Signals::install()?;
    let dir = scratch(&settings.data_dir)?;
    let measured = async {
        match &args.depths {
            Some(depths) => depths::measure(dir.path(), depths, effort).await,
            None => measure(dir.path().to_owned(), elsewhere(args), cases, effort).await,
        }
    };
    let table = tokio::select! {
        measured = measured => measured?,
        () = signals.end() => return Err(Failure::other("interrupted")),
    };
    table.print(json)
}

/// The node that was named.
fn elsewhere(args: &BenchNode) -> Option<NodeAddress> {
    let (addr, fingerprint) = (args.node?, args.fingerprint?);
    let trust = Trust::Fingerprint(fingerprint.0);
    Some(NodeAddress { addr, server_name: "localhost".to_owned(), trust })
}

/// Rounds of cases, each next to its floors, so that a slow minute of the machine strikes both.
async fn measure(
    dir: PathBuf,
    elsewhere: Option<NodeAddress>,
    cases: Vec<Case>,
    effort: Effort,
) -> Result<Table, Failure> {
    let crowd = Crowd::generate(CONNECTIONS);
    let packages = if cases.iter().any(Case::needs_packages) {
        progress("making key packages");
        let (crowd, each) = (crowd.clone(), effort.count);
        let making = tokio::task::spawn_blocking(move || Packages::generate(&crowd, each));
        Some(making.await.map_err(Failure::other)?.map_err(Failure::other)?)
    } else {
        None
    };
    let mut table = Table::default();
    for round in 1..=effort.rounds {
        let mut floors = Floors::new(&dir, effort);
        let mut loaded: Option<Loaded> = None;
        for case in &cases {
            progress(format_args!("round {round} of {}: {}", effort.rounds, case.name));
            let floor = floors.of(case).await?;
            let fits = |loaded: &Loaded| case.kind().is_some_and(|kind| kind == loaded.kind);
            if !loaded.as_ref().is_some_and(fits) {
                if let Some(former) = loaded.take() {
                    former.stop().await?;
                }
                loaded = Some(Loaded::start(&dir, elsewhere.clone(), &crowd, case).await?);
            }
            let Some(loaded) = &loaded else { continue };
            let figure = case.measure(&loaded.bench, packages.as_ref(), effort).await?;
            table.add(&case.name, figure, Some(floor));
        }
        if let Some(last) = loaded {
            last.stop().await?;
        }
        for (name, figure) in floors.measured() {
            table.add(&format!("floor: {name}"), figure, None);
        }
    }
    Ok(table)
}

/// A node with connections to it, for cases of one kind.
struct Loaded {
    kind: String,
    host: Host,
    bench: NodeBench,
}

impl Loaded {
    async fn start(
        dir: &Path,
        elsewhere: Option<NodeAddress>,
        crowd: &Crowd,
        case: &Case,
    ) -> Result<Self, Failure> {
        let host = match elsewhere {
            Some(address) => Host::elsewhere(address),
            None => Host::start(dir).await?,
        };
        let bench = host.connect(crowd).await?;
        Ok(Self { kind: case.kind().unwrap_or_default().to_owned(), host, bench })
    }

    async fn stop(self) -> Result<(), Failure> {
        drop(self.bench);
        self.host.stop().await
    }
}
