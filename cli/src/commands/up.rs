//! `qpq up`: node and gateway in one process.

use serde_json::json;

use crate::config::Settings;
use crate::exit::Failure;
use crate::output::{say, say_json};
use crate::shutdown::Signals;
use crate::stack::Stack;

/// Starts both, says where everything is, and runs until a signal comes.
pub(crate) async fn run(settings: &Settings, json: bool) -> Result<(), Failure> {
    let signals = Signals::install()?;
    let stack = Stack::up(settings).await?;
    let (node, gateway) = (stack.node_facts()?, stack.gateway_facts()?);
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
            "node": node.address,
            "node_fingerprint": node.fingerprint,
            "node_ops": node.ops_url(),
        }))?;
    } else {
        say(format_args!(
            "quicproquo is running.\n\n  \
             Swagger UI    {url}/docs\n  \
             Console       {url}/console\n  \
             API           {url}/v1\n  \
             Admin token   {}{}\n  \
             Data          {}\n  \
             Node          {} (QUIC)\n  \
             Fingerprint   {}{}\n\n\
             Ctrl-C stops it.",
            gateway.admin_token.display(),
            gateway.other_lines(),
            settings.data_dir.display(),
            node.address,
            node.fingerprint,
            super::node::operations(node),
        ));
    }
    stack.run(signals).await
}
