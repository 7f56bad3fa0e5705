//! `qpq openapi`: the gateway's description, as `/openapi.json` serves it.

use crate::output::say;

/// Prints the description.
pub(crate) fn run() {
    say(quicproquo_gateway::openapi_json().trim_end());
}
