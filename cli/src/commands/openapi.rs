//! `qpq openapi`: the gateway's descriptions, as `/openapi.json` and `/asyncapi.json` serve them.

use crate::exit::Failure;
use crate::output::print;

/// Prints a description: of the routes, or of the event stream.
pub(crate) fn run(events: bool) -> Result<(), Failure> {
    let text = if events {
        quicproquo_gateway::asyncapi_json()
    } else {
        quicproquo_gateway::openapi_json()
    };
    print(text.trim_end())
}
