//! A small caller of the gateway, for the commands that use it as any bot would.

mod access;
mod events;
mod listener;
mod names;
mod problem;

use std::future::ready;
use std::path::Path;
use std::time::Duration;

use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::exit::{Exit, Failure};
pub(crate) use access::{admin, bot, url};
pub(crate) use events::{Events, Item};
pub(crate) use listener::Listener;
pub(crate) use names::{
    find, find_bot, find_group, find_token, group_names, is_here, name_in_path,
};

/// More than the longest `?wait=`.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long a connection may take to come up.
const CONNECT: Duration = Duration::from_secs(10);
/// Silence after which a stream is dead; the gateway says something every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// A connection idle for longer is not used again: the gateway hangs up after 10 s, and a request
/// that meets that can only fail.
const IDLE: Duration = Duration::from_secs(5);
/// Pause before the first repetition, which doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// A caller with one token; an empty one calls without.
#[derive(Clone)]
pub(crate) struct Rest {
    http: Client,
    base: String,
    token: String,
    /// How long what changes nothing is asked again while nothing answers.
    retry: Duration,
}

/// What keeps an answer from being one.
pub(crate) struct Refusal {
    /// For the end of the command.
    pub(crate) failure: Failure,
    /// Whether the same request may succeed later.
    pub(crate) passing: bool,
}

/// Pauses between tries, each twice as long as the one before, up to the last.
#[derive(Default)]
pub(crate) struct Pauses(Duration);

impl Pauses {
    /// How long to wait before the next try.
    pub(crate) fn next(&mut self) -> Duration {
        self.0 = (self.0 * 2).clamp(FIRST_PAUSE, LAST_PAUSE);
        self.0
    }
}

impl Rest {
    /// A caller of `base` (`http://host:port`).
    pub(crate) fn new(base: &str, token: &str) -> Result<Self, Failure> {
        Self::trusting(base, token, None)
    }

    /// The same, which also trusts the certificates in a PEM file.
    pub(crate) fn trusting(base: &str, token: &str, ca: Option<&Path>) -> Result<Self, Failure> {
        let own = ca.map(certificates).transpose()?.unwrap_or_default();
        let builder = Client::builder();
        let builder = if base.starts_with("https:") {
            builder.tls_certs_merge(own)
        } else {
            // Nothing is verified without TLS, and a machine may have no roots.
            builder.tls_certs_only([])
        };
        let http = builder
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE.max(PATIENCE))
            .pool_idle_timeout(IDLE)
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(|error| no_client(&error))?;
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { http, base, token: token.to_owned(), retry: Duration::ZERO })
    }

    /// The same caller, which asks again for so long when nothing answers; what changes something
    /// is asked once still, see [`Rest::insist`].
    pub(crate) fn patient(self, retry: Duration) -> Self {
        Self { retry, ..self }
    }

    /// The same gateway, another token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// Opens the bot's event stream.
    pub(crate) async fn listen(&self) -> Result<Listener, Failure> {
        Listener::open(&self.base, &self.token).await
    }

    /// GET.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Failure> {
        self.again(self.retry, || ready(Ok(self.request(Method::GET, path)))).await
    }

    /// POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PUT.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// PATCH.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// DELETE.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.call(Method::DELETE, path, None).await
    }

    /// All items of a list that is one page.
    pub(crate) async fn items(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let mut list = self.get(path).await?;
        match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(Failure::other("an answer of the gateway has no items")),
        }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.answer(request).await.map_err(|refusal| refusal.failure)
    }

    /// Asks under one idempotency key until there is an answer that stays, for so long at most.
    pub(crate) async fn insist(
        &self,
        key: &str,
        limit: Duration,
        request: impl AsyncFn() -> Result<RequestBuilder, Failure>,
    ) -> Result<Value, Failure> {
        let request = &request;
        self.again(limit, || async { Ok(request().await?.header("Idempotency-Key", key)) }).await
    }

    async fn again<F>(&self, limit: Duration, request: impl Fn() -> F) -> Result<Value, Failure>
    where
        F: Future<Output = Result<RequestBuilder, Failure>>,
    {
        let begun = Instant::now();
        let mut pauses = Pauses::default();
        loop {
            let refusal = match self.answer(request().await?).await {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            let pause = pauses.next();
            if !refusal.passing || begun.elapsed() + pause > limit {
                return Err(refusal.failure);
            }
            sleep(pause).await;
        }
    }

    /// A request that is not sent yet, with the token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        if self.token.is_empty() { request } else { request.bearer_auth(&self.token) }
    }

    /// Sends a request that has its whole answer within a time.
    async fn answer(&self, request: RequestBuilder) -> Result<Value, Refusal> {
        let response = self.send(request.timeout(PATIENCE)).await?;
        let text = response.text().await.map_err(|_| self.gone())?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Sends a request; anything but success is a refusal.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, Refusal> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.text().await.map_err(|_| self.gone())?;
        let problem: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        let exit = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
            StatusCode::NOT_FOUND => Exit::NotFound,
            StatusCode::SERVICE_UNAVAILABLE => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let passing = problem["retryable"].as_bool().unwrap_or(status.is_server_error());
        Err(Refusal { failure: Failure::new(exit, problem::sentence(status, &problem)), passing })
    }

    /// A certificate that is not known stays so; everything else may pass.
    fn failed(&self, error: &reqwest::Error) -> Refusal {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            // The error of rustls is inside of one that does not show it.
            if error.to_string().starts_with("invalid peer certificate") {
                let said = format!("{} is not trusted ({error}); see --ca", self.base);
                return Refusal { failure: Failure::new(Exit::Refused, said), passing: false };
            }
            cause = error.source();
        }
        self.gone()
    }

    /// The answer that did not come, or not as a whole.
    pub(crate) fn gone(&self) -> Refusal {
        let failure = Failure::new(Exit::Unreachable, format!("{} does not answer", self.base));
        Refusal { failure, passing: true }
    }
}

/// What keeps a caller from being made is that nothing is trusted.
fn no_client(error: &reqwest::Error) -> Failure {
    let cause =
        std::error::Error::source(error).map_or_else(String::new, |cause| format!(" ({cause})"));
    Failure::other(format!(
        "TLS cannot be set up{cause}; install the system's certificates (ca-certificates), or name \
         the gateway's by --ca"
    ))
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let wrong =
        |reason: &dyn std::fmt::Display| Failure::usage(format!("{}: {reason}", path.display()));
    let pem = std::fs::read(path).map_err(|error| wrong(&error))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(wrong(&"there is no certificate in it")),
    }
}

/// A text field of an answer.
pub(crate) fn text(answer: &Value, field: &str) -> Result<String, Failure> {
    answer[field]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::other(format!("an answer of the gateway has no {field}")))
}

/// A value in a query.
pub(crate) fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b',' => {
                escaped.push(char::from(byte));
            }
            _ => escaped.extend(['%', hex_digit(byte >> 4), hex_digit(byte & 15)]),
        }
    }
    escaped
}

fn hex_digit(half: u8) -> char {
    char::from_digit(u32::from(half), 16).unwrap_or_default().to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    #[test]
    fn values_are_escaped() {
        assert_eq!(super::escape("a,b-c_1"), "a,b-c_1");
        assert_eq!(super::escape("a&b=ü"), "a%26b%3D%C3%BC");
    }
}
