//! A small caller of the gateway, for the commands that use it as any bot would.

mod listener;

use std::time::Duration;

use reqwest::{Client, Method, StatusCode};
use serde_json::Value;

use crate::exit::{Exit, Failure};
pub(crate) use listener::Listener;

/// A caller with one token; an empty one calls without.
#[derive(Clone)]
pub(crate) struct Rest {
    http: Client,
    base: String,
    token: String,
}

impl Rest {
    /// A caller of `base` (`http://host:port`).
    pub(crate) fn new(base: &str, token: &str) -> Result<Self, Failure> {
        let http = Client::builder()
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(Failure::other)?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), token: token.to_owned() })
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
        self.call(Method::GET, path, None).await
    }

    /// POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PATCH.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// PUT.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        self.call(Method::PUT, path, Some(body)).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, Failure> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let gone = |_| Failure::new(Exit::Unreachable, format!("{} does not answer", self.base));
        let response = request.send().await.map_err(gone)?;
        let status = response.status();
        let text = response.text().await.map_err(gone)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(answer);
        }
        let exit = match status {
            StatusCode::SERVICE_UNAVAILABLE => Exit::Unreachable,
            _ => Exit::Failed,
        };
        let title = answer["title"].as_str().unwrap_or("no reason given");
        Err(Failure::new(exit, format!("{method} {path}: {}: {title}", status.as_u16())))
    }
}

/// A text field of an answer.
pub(crate) fn text(answer: &Value, field: &str) -> Result<String, Failure> {
    answer[field]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Failure::other(format!("an answer of the gateway has no {field}")))
}
