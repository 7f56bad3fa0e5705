//! `qpq openapi`: the gateway's descriptions, as `/openapi.json` and `/asyncapi.json` serve them.

use crate::output::say;

/// Prints a description: of the routes, or of the event stream.
pub(crate) fn run(events: bool) {
    let text = if events {
        quicproquo_gateway::asyncapi_json()
    } else {
        quicproquo_gateway::openapi_json()
    };
    say(text.trim_end());
}
