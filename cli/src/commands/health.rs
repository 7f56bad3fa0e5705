//! `qpq health`: is a gateway ready?

use crate::config::Settings;
use crate::exit::Failure;
use crate::output::{say, say_json};
use crate::rest::{self, Rest};

/// Asks once; a gateway that does not answer or is not ready is a failure.
pub(crate) async fn run(
    settings: &Settings,
    url: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let url = rest::url(settings, url.as_ref());
    let answer = Rest::new(&url, "")?.get("/health/ready").await?;
    if json {
        return say_json(&answer);
    }
    match (answer["linked"].as_u64(), answer["bots"].as_u64()) {
        (Some(linked), Some(bots)) => {
            say(format_args!("{url} is ready; {linked} of {bots} bots linked to the node"));
        }
        // A node's door for operators.
        _ => say(format_args!("{url} is ready")),
    }
    Ok(())
}
