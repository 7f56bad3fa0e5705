//! One attempt: a POST to a target that was checked, to an address that was checked.

use std::error::Error as _;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::header::{CONTENT_TYPE, USER_AGENT};
use quicproquo_client::clock::now_secs;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use super::sign::Keys;
use super::target::{Refusal, WebhookTargets};
use crate::extract::parse_json;

/// From the first look-up to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// What is read of an answer, in bytes.
const MAX_ANSWER: usize = 64 * 1024;
const AGENT: &str = concat!("quicproquo/", env!("CARGO_PKG_VERSION"));

/// What an attempt came to.
#[derive(Debug)]
pub(super) struct Attempt {
    /// The status, if there was an answer.
    pub(super) status: Option<u16>,
    /// What it means.
    pub(super) result: Result<Option<Value>, Failure>,
}

/// Why an attempt failed, in a stable word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The allow-list does not let the target through (any more).
    Refused,
    /// The name is not known, or nobody answers there.
    Unreachable,
    /// It took too long.
    Timeout,
    /// No 2xx.
    Status,
    /// 410: nothing more is wanted.
    Gone,
}

/// What an attempt that did not fail is counted as.
pub(super) const DELIVERED: &str = "delivered";

/// Every outcome of an attempt, in a word.
pub(crate) fn outcomes() -> impl Iterator<Item = &'static str> {
    [DELIVERED].into_iter().chain(Failure::ALL.map(Failure::as_str))
}

impl Failure {
    const ALL: [Self; 5] =
        [Self::Refused, Self::Unreachable, Self::Timeout, Self::Status, Self::Gone];

    /// As it is listed.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "target_refused",
            Self::Unreachable => "unreachable",
            Self::Timeout => "timeout",
            Self::Status => "status",
            Self::Gone => "gone",
        }
    }
}

/// Delivers to one target.
#[derive(Debug)]
pub(super) struct Sender {
    client: Client,
    targets: WebhookTargets,
    url: String,
}

impl Sender {
    /// A sender to one URL.
    ///
    /// # Errors
    /// What keeps the HTTP client from being made.
    pub(super) fn new(url: &str, targets: &WebhookTargets) -> Result<Self, reqwest::Error> {
        Self::with(url, targets, look_up)
    }

    fn with(url: &str, targets: &WebhookTargets, look_up: LookUp) -> Result<Self, reqwest::Error> {
        let pinned = Url::parse(url).ok();
        let pinned = pinned.map(|url| Pinned { url, targets: targets.clone(), look_up });
        let mut builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            // Each delivery looks the name up anew, once.
            .pool_max_idle_per_host(0);
        if url.starts_with("http:") {
            // Nothing is verified without TLS, and a machine may have no roots.
            builder = builder.tls_certs_only([]);
        }
        if let Some(pinned) = pinned {
            builder = builder.dns_resolver(Arc::new(pinned));
        }
        let client = builder.build()?;
        Ok(Self { client, targets: targets.clone(), url: url.to_owned() })
    }

    /// One attempt; the answer's JSON, if it has some, comes with success.
    pub(super) async fn attempt(&self, keys: &Keys, id: &str, body: Vec<u8>) -> Attempt {
        let Ok(url) = self.targets.check(&self.url) else {
            return Attempt { status: None, result: Err(Failure::Refused) };
        };
        let timestamp = now_secs();
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, AGENT)
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", keys.sign(id, timestamp, &body))
            .body(body);
        match request.send().await {
            Ok(response) => answered(response).await,
            Err(error) => Attempt { status: None, result: Err(failure(&error)) },
        }
    }
}

async fn answered(response: Response) -> Attempt {
    let code = response.status();
    let status = Some(code.as_u16());
    if code == StatusCode::GONE {
        return Attempt { status, result: Err(Failure::Gone) };
    }
    if !code.is_success() {
        return Attempt { status, result: Err(Failure::Status) };
    }
    // Whatever becomes of the body: the target has taken the event.
    Attempt { status, result: Ok(message(response).await) }
}

/// An answer that asks for a message to be sent.
#[derive(Debug, Deserialize)]
struct Answer {
    message: Option<Value>,
}

/// The `message` of a JSON answer that is not too long.
async fn message(mut response: Response) -> Option<Value> {
    let media = response.headers().get(CONTENT_TYPE)?.to_str().ok()?;
    let name = media.split(';').next().unwrap_or_default().trim();
    if !name.eq_ignore_ascii_case("application/json") {
        return None;
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    parse_json::<Answer>(&body).ok()?.message
}

fn failure(error: &reqwest::Error) -> Failure {
    let mut cause = error.source();
    while let Some(inner) = cause {
        if inner.is::<Refusal>() {
            return Failure::Refused;
        }
        cause = inner.source();
    }
    if error.is_timeout() { Failure::Timeout } else { Failure::Unreachable }
}

/// Looks a name up and lets only addresses through that may be connected to. The connection goes to
/// these: nothing is looked up again behind the check.
#[derive(Debug, Clone)]
struct Pinned {
    url: Url,
    targets: WebhookTargets,
    look_up: LookUp,
}

/// The addresses of a name, with a port.
type LookUp = fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

fn look_up(name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((name, port)).await?.collect()) })
}

impl Resolve for Pinned {
    fn resolve(&self, name: Name) -> Resolving {
        let pinned = self.clone();
        Box::pin(async move {
            let port = pinned.url.port_or_known_default().unwrap_or_default();
            let found = (pinned.look_up)(name.as_str().to_owned(), port).await?;
            // One address that may not be met spoils the name.
            if found.iter().any(|address| !pinned.targets.lets(&pinned.url, address.ip())) {
                return Err(Refusal::Address.into());
            }
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests;
