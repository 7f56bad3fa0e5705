//! A node of the bench's own.

use std::path::Path;
use std::time::Duration;

use quicproquo_client::bench::{Crowd, NodeBench};
use quicproquo_client::{NodeAddress, Trust};
use quicproquo_node::{Node, NodeConfig, Rate};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::exit::Failure;

/// A running node and its directory, which goes with it.
#[derive(Debug)]
pub(super) struct Host {
    address: NodeAddress,
    own: Option<(TempDir, TaskTracker, CancellationToken)>,
}

impl Host {
    /// Starts a node below `dir`, with the limits raised that would refuse the load.
    pub(super) async fn start(dir: &Path) -> Result<Self, Failure> {
        let own = temporary(dir)?;
        let mut config = NodeConfig::new(own.path(), ([127, 0, 0, 1], 0).into());
        let limits = &mut config.limits;
        let unlimited = Rate { burst: u32::MAX, period: Duration::ZERO };
        limits.transport.calls_in_flight = 1024;
        limits.queue_rows = 1 << 40;
        limits.queue_bytes = 1 << 50;
        limits.packages_per_suite = u32::MAX;
        limits.claims_per_pair = unlimited;
        limits.claims_per_target = unlimited;
        let node = Node::bind(config).await?;
        let address = NodeAddress {
            addr: node.local_addr(),
            server_name: "localhost".to_owned(),
            trust: Trust::Fingerprint(node.fingerprint()),
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let serving = node.serve(stop.clone());
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                tracing::error!(%error, "the node of the bench failed");
            }
        });
        tasks.close();
        Ok(Self { address, own: Some((own, tasks, stop)) })
    }

    /// A node that runs elsewhere and is left running.
    pub(super) fn elsewhere(address: NodeAddress) -> Self {
        Self { address, own: None }
    }

    /// Where it is.
    pub(super) fn address(&self) -> &NodeAddress {
        &self.address
    }

    /// Connects each of a crowd.
    pub(super) async fn connect(&self, crowd: &Crowd) -> Result<NodeBench, Failure> {
        NodeBench::connect(&self.address, crowd).await.map_err(Failure::other)
    }

    /// Stops the node and removes its directory.
    pub(super) async fn stop(self) -> Result<(), Failure> {
        let Some((dir, tasks, stop)) = self.own else {
            return Ok(());
        };
        stop.cancel();
        tasks.wait().await;
        dir.close().map_err(|error| Failure::other(format!("temporary directory: {error}")))
    }
}

/// A temporary directory on the disk of the data directory, which need not exist.
pub(super) fn scratch(data_dir: &Path) -> Result<TempDir, Failure> {
    let existing = data_dir.ancestors().find(|path| path.is_dir());
    temporary(existing.unwrap_or(Path::new("/")))
}

/// Resident memory in MiB, of the whole process: the node of the bench is part of it.
pub(super) fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    kib.map_or(f64::NAN, |kib| kib / 1024.0)
}

/// Processor time that this process has taken, in microseconds, to a hundredth of a second.
pub(super) fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name of the process, which may contain anything: fields 3 and on.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks * 10_000.0
}

fn temporary(dir: &Path) -> Result<TempDir, Failure> {
    tempfile::Builder::new()
        .prefix("qpq-bench-")
        .tempdir_in(dir)
        .map_err(|error| Failure::other(format!("{}: {error}; see --data-dir", dir.display())))
}
