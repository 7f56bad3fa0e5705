//! `qpq openapi`: the gateway's description, as `/openapi.json` serves it.

use crate::exit::Failure;
use crate::output::print;

/// Prints the description.
pub(crate) fn run() -> Result<(), Failure> {
    print(quicproquo_gateway::openapi_json().trim_end())
}
