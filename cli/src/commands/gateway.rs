//! `qpq gateway`: a gateway alone, for a node elsewhere.

use std::path::Path;

use quicproquo_client::{NodeAddress, Trust};
use serde_json::json;

use crate::config::{KeySource, Link, Settings};
use crate::data_dir;
use crate::exit::Failure;
use crate::output::{say, say_json};
use crate::shutdown::Signals;
use crate::stack::Stack;

/// Starts a gateway, says where it is, and runs until a signal comes.
pub(crate) async fn run(settings: &Settings, json: bool) -> Result<(), Failure> {
    let link = node_address(&settings.link, &settings.data_dir)?;
    let node = link.addr;
    let signals = Signals::install()?;
    data_dir::for_gateway(&settings.data_dir)?;
    let mut stack = Stack::default();
    let token = settings.data_dir.join("admin-token");
    let started = stack.start_gateway(settings, settings.data_dir.clone(), token, link).await;
    if let Err(failure) = started {
        // The first failure is the one to report.
        let _ = stack.stop().await;
        return Err(failure);
    }
    let gateway = stack.gateway_facts()?;
    let url = gateway.url();
    if json {
        say_json(&json!({
            "ready": true,
            "api": format!("{url}/v1"),
            "docs": format!("{url}/docs"),
            "console": format!("{url}/console"),
            "data_dir": settings.data_dir,
            "admin_token_file": gateway.admin_token,
            "socket": gateway.socket,
            "matrix": gateway.matrix_url(),
            "node": node,
        }))?;
    } else {
        say(format_args!(
            "The gateway is running.\n\n  \
             Swagger UI    {url}/docs\n  \
             Console       {url}/console\n  \
             API           {url}/v1\n  \
             Admin token   {}{}\n  \
             Data          {}\n  \
             Node          {node} (QUIC)\n\n\
             Ctrl-C stops it.",
            gateway.admin_token.display(),
            gateway.other_lines(),
            settings.data_dir.display(),
        ));
    }
    stack.run(signals).await
}

/// Seals the bots' database under another master key; no gateway may run on it.
pub(crate) async fn rekey(
    settings: &Settings,
    to: Option<&KeySource>,
    json: bool,
) -> Result<(), Failure> {
    let dir = data_dir::of_gateway(&settings.data_dir)?;
    let from = KeySource::of(settings.bots.master_key.as_ref(), &dir)?;
    let key = to.map(KeySource::resolve).transpose()?;
    let values = quicproquo_client::rekey(&dir, &from, key.as_ref()).await?;
    if json {
        return say_json(&json!({ "values": values, "master_key": to.map(ToString::to_string) }));
    }
    say(format_args!("{values} values are sealed under the new key."));
    if let Some(to) = to {
        say(format_args!("From now on start with --master-key {to}"));
    }
    Ok(())
}

/// A node on loopback may be known by the certificate it shows first; any other must be told.
pub(crate) fn node_address(link: &Link, data_dir: &Path) -> Result<NodeAddress, Failure> {
    let addr = link.node.ok_or_else(|| Failure::usage("say which node: --node ADDR"))?;
    let trust = match (link.fingerprint, &link.ca) {
        (Some(fingerprint), _) => Trust::Fingerprint(fingerprint.0),
        (None, Some(file)) => Trust::CaFile(file.clone()),
        (None, None) if link.system_roots => Trust::SystemRoots,
        (None, None) if addr.ip().is_loopback() => Trust::FirstUse(data_dir.join("node.pin")),
        (None, None) => {
            return Err(Failure::usage(
                "say how to know the node: --node-fingerprint HEX (`qpq node` prints it), \
                 --node-ca FILE, or --node-system-roots with --node-server-name; the first \
                 certificate is believed on loopback only",
            ));
        }
    };
    Ok(NodeAddress { addr, server_name: link.server_name.clone(), trust })
}
