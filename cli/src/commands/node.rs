//! `qpq node`: a node alone.

pub(crate) mod backup;
pub(crate) mod operator;
pub(crate) mod token;

use std::net::SocketAddr;

use serde_json::json;

use crate::config::Settings;
use crate::data_dir;
use crate::exit::Failure;
use crate::output::{say, say_json};
use crate::shutdown::Signals;
use crate::stack::{NodeFacts, Stack};

/// Starts a node, says what gateways need to know, and runs until a signal comes.
pub(crate) async fn run(settings: &Settings, json: bool) -> Result<(), Failure> {
    let signals = Signals::install()?;
    data_dir::for_node(&settings.data_dir)?;
    let mut stack = Stack::default();
    stack.start_node(&settings.node, settings.data_dir.clone()).await?;
    let node = stack.node_facts()?;
    if json {
        say_json(&json!({
            "ready": true,
            "data_dir": settings.data_dir,
            "node": node.address,
            "node_fingerprint": node.fingerprint,
            "node_certificate": node.certificate,
            "node_ops": node.ops_url(),
        }))?;
    } else {
        say(format_args!(
            "The node is running.\n\n  \
             Address       {} (QUIC)\n  \
             Fingerprint   {}\n  \
             Certificate   {}\n  \
             Data          {}{}\n\n\
             A gateway for it: qpq gateway --node {} --node-fingerprint {}",
            node.address,
            node.fingerprint,
            node.certificate.display(),
            settings.data_dir.display(),
            operations(node),
            reachable(node.address),
            node.fingerprint,
        ));
    }
    stack.run(signals).await
}

/// What a gateway is told: a node that listens at all addresses is at none of them.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("HOST:{}", address.port());
    }
    address.to_string()
}

/// The line for the door of operators, if there is one.
pub(super) fn operations(node: &NodeFacts) -> String {
    node.ops_url().map_or_else(String::new, |url| format!("\n  Operations    {url}/metrics"))
}
