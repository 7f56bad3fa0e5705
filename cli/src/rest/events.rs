//! A bot's events over server-sent events, which need nothing but HTTP.

use std::time::Duration;

use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use super::{Refusal, Rest, SILENCE};
use crate::exit::{Exit, Failure};

/// An open stream.
pub(crate) struct Events {
    response: Response,
    buffer: Vec<u8>,
}

/// One thing that a stream says.
#[derive(Debug, PartialEq)]
pub(crate) enum Item {
    /// An event, as it came and as JSON.
    Event(String, Value),
    /// Everything up to this cursor was looked at.
    Place(String),
    /// Why the gateway ends the stream.
    Problem(Value),
}

impl Rest {
    /// Opens the event stream with a query (without `?`).
    pub(crate) async fn events(&self, query: &str) -> Result<Events, Refusal> {
        let path = format!("/v1/events?{query}");
        let request = self.request(Method::GET, &path).header("Accept", "text/event-stream");
        // The headers come at once.
        let opened = timeout(Duration::from_secs(30), self.send(request)).await;
        let response = opened.unwrap_or_else(|_| Err(self.gone()))?;
        Ok(Events { response, buffer: Vec::new() })
    }
}

impl Events {
    /// What comes next; `None` when the stream has ended, for whatever reason.
    pub(crate) async fn next(&mut self) -> Result<Option<Item>, Failure> {
        loop {
            while let Some(block) = self.block() {
                if let Some(item) = parse(&block)? {
                    return Ok(Some(item));
                }
            }
            match timeout(SILENCE, self.response.chunk()).await {
                Ok(Ok(Some(bytes))) => self.buffer.extend_from_slice(&bytes),
                _ => return Ok(None),
            }
        }
    }

    /// Whether the next item is here already.
    pub(crate) fn has_more(&self) -> bool {
        end(&self.buffer).is_some()
    }

    fn block(&mut self) -> Option<Vec<u8>> {
        let end = end(&self.buffer)?;
        let block = self.buffer[..end].to_vec();
        self.buffer.drain(..end + 2);
        Some(block)
    }
}

fn end(buffer: &[u8]) -> Option<usize> {
    buffer.windows(2).position(|two| two == b"\n\n")
}

/// One block of lines. Comments and fields that are not ours say nothing.
fn parse(block: &[u8]) -> Result<Option<Item>, Failure> {
    let odd = || Failure::new(Exit::Failed, "the event stream is none");
    let block = std::str::from_utf8(block).map_err(|_| odd())?;
    let (mut data, mut id, mut kind) = (None, None, None);
    for line in block.lines() {
        let Some((field, value)) = line.split_once(':') else { continue };
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => data = Some(value.to_owned()),
            "id" => id = Some(value.to_owned()),
            "event" => kind = Some(value.to_owned()),
            _ => {}
        }
    }
    let Some(data) = data else {
        return Ok(id.map(Item::Place));
    };
    let value: Value = serde_json::from_str(&data).map_err(|_| odd())?;
    Ok(Some(match kind.as_deref() {
        Some("problem") => Item::Problem(value),
        _ => Item::Event(data, value),
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_places_and_problems_are_told_apart() {
        assert_eq!(parse(b": hello\nretry: 2000").unwrap(), None);
        assert_eq!(parse(b": passing\nid: c1_2").unwrap(), Some(Item::Place("c1_2".into())));
        let event = parse(b"data: {\"a\":1}\nid: c1_3").unwrap();
        assert_eq!(event, Some(Item::Event("{\"a\":1}".into(), json!({ "a": 1 }))));
        let problem = parse(b"event: problem\ndata: {}").unwrap();
        assert_eq!(problem, Some(Item::Problem(json!({}))));
        assert!(parse(b"data: nonsense").is_err());
    }
}
