//! A reader of server-sent events, by the rules of WHATWG HTML section 9.2.

use reqwest::header::HeaderMap;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::api::Api;
use crate::wait::{SOON, within};

/// An open stream of server-sent events.
#[derive(Debug)]
pub struct Sse {
    response: Response,
    text: String,
    /// The last `id`.
    pub last_id: String,
}

impl Sse {
    /// Opens `GET /v1/events` with a query and, when it comes back, the last id.
    pub async fn open(api: &Api, query: &str, last_id: Option<&str>) -> Self {
        let mut request = api.request(Method::GET, &format!("/v1/events?{query}"));
        request = request.header("accept", "text/event-stream");
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        // The headers come before any event does.
        let response = within("the headers", SOON, request.send()).await.expect("an answer");
        assert_eq!(response.status(), 200);
        Self { response, text: String::new(), last_id: String::new() }
    }

    /// The headers of the answer.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The next block of lines as it came, `None` at the end of the stream.
    pub async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let chunk = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&chunk).expect("the stream is text"));
        }
    }

    /// The next event's data, which must come soon.
    pub async fn event(&mut self) -> Value {
        within("an event", SOON, async {
            loop {
                let block = self.block().await.expect("the stream is open");
                if let Some(data) = self.take(&block) {
                    return data;
                }
            }
        })
        .await
    }

    fn take(&mut self, block: &str) -> Option<Value> {
        let field = |name: &str| {
            let mut lines = block.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::to_owned)
        };
        if let Some(id) = field("id") {
            self.last_id = id;
        }
        field("data").map(|data| serde_json::from_str(&data).expect("data is JSON"))
    }
}
