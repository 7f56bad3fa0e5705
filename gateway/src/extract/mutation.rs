//! A request that changes something: JSON body, `Idempotency-Key`, `If-Match`.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use futures::StreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH};
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderName, Uri};
use quicproquo_client::{Idempotency, Options};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::{CONTROL_LIMIT, parse_json};
use crate::auth::still_valid;
use crate::idempotency::fingerprint;
use crate::problem::{Kind, Problem};
use crate::state::AppState;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_KEY: usize = 255;
/// How much of a body that is too large is read before the answer, in bytes.
const DRAIN: usize = 4 * 1024 * 1024;
/// The next bytes of a body of any type must come within this time, and all of them in the longer.
const RAW_PAUSE: Duration = Duration::from_secs(30);
const RAW_TIMEOUT: Duration = Duration::from_mins(10);
/// A body must come at this pace after a grace, in bytes a second: whoever holds a connection with
/// less is sent away.
const PACE: u64 = 16 * 1024;
const PACE_GRACE: Duration = Duration::from_secs(10);

/// A request that changes something; its body has at most `LIMIT` bytes.
#[derive(Debug, Clone)]
pub(crate) struct Mutation<T, const LIMIT: usize = CONTROL_LIMIT> {
    /// The body.
    pub(crate) body: T,
    /// The key and what it stands for.
    pub(crate) idempotency: Option<Idempotency>,
    /// The epoch the caller knows.
    pub(crate) if_epoch: Option<u64>,
}

impl<T, const LIMIT: usize> Mutation<T, LIMIT> {
    /// The body, and how the engine is to treat the call.
    pub(crate) fn into_parts(self, wait: Duration) -> (T, Options) {
        let Self { body, idempotency, if_epoch } = self;
        (body, Options { idempotency, wait, if_epoch, ..Options::default() })
    }
}

/// Routes without a body: nothing, or an empty object.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoBody {}

impl<T: DeserializeOwned, const LIMIT: usize> FromRequest<AppState> for Mutation<T, LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let if_epoch = if_match(&parts.headers)?;
        let key = idempotency_key(&parts.headers)?;
        let bytes = read_all(&parts.headers, body, LIMIT).await?;
        still_valid(&parts.extensions)?;
        check_media_type(&parts.headers, &bytes)?;
        let idempotency = key.map(|key| Idempotency {
            key,
            fingerprint: fingerprint(parts.method.as_str(), &target(&parts.uri), &bytes),
        });
        // Only types without fields read from `{}`: others report what is missing.
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        Ok(Self { body: parse_json(text)?, idempotency, if_epoch })
    }
}

/// A request that brings bytes of any type, read as they come; `LIMIT` of them at most.
#[derive(Debug)]
pub(crate) struct Raw<const LIMIT: u64> {
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// What makes the request safe to repeat.
    pub(crate) key: Option<String>,
    body: axum::body::BodyDataStream,
    extensions: Extensions,
    seen: u64,
    until: Instant,
}

impl<const LIMIT: u64> FromRequest<AppState> for Raw<LIMIT> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let key = idempotency_key(&parts.headers)?;
        check_declared(&parts.headers, usize::try_from(LIMIT).unwrap_or(usize::MAX))?;
        let until = Instant::now() + RAW_TIMEOUT;
        let Parts { headers, extensions, .. } = parts;
        Ok(Self { headers, key, body: body.into_data_stream(), extensions, seen: 0, until })
    }
}

impl<const LIMIT: u64> Raw<LIMIT> {
    /// The next bytes. `None`: that was all.
    ///
    /// # Errors
    /// `TooLarge`, `RequestTimeout` when nothing comes for 30 s, or not all in 10 minutes,
    /// `RequestInvalid` when the connection breaks; `TokenInvalid`, `TokenExpired`.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let part = self.part().await?;
        still_valid(&self.extensions)?;
        self.seen += part.as_ref().map_or(0, |part| part.len() as u64);
        if self.seen <= LIMIT {
            return Ok(part);
        }
        // As in `read`: a peer that still writes gets the answer.
        let mut drained = 0;
        while drained < DRAIN
            && let Ok(Some(part)) = self.part().await
        {
            drained += part.len();
        }
        Err(too_large(usize::try_from(LIMIT).unwrap_or(usize::MAX)))
    }

    async fn part(&mut self) -> Result<Option<Bytes>, Problem> {
        let until = self.until.min(Instant::now() + RAW_PAUSE);
        let part = timeout_at(until, self.body.next()).await;
        let part = part.map_err(|_| Problem::new(Kind::RequestTimeout))?;
        part.transpose().map_err(|_| {
            let detail = "the connection broke inside the body";
            Problem::new(Kind::RequestInvalid).detail(detail)
        })
    }
}

/// Reads a body of at most so many bytes.
///
/// # Errors
/// `TooLarge`, `MediaTypeRefused`, `RequestTimeout`, `RequestInvalid`.
pub(crate) async fn read_all(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Problem> {
    check_declared(headers, limit)?;
    read(body, limit).await
}

/// Reads a body. Of one that is too large some more is read and dropped: a peer that still writes
/// would otherwise meet a closed connection instead of the answer.
async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    let mut stream = body.into_data_stream();
    let (mut kept, mut seen) = (Vec::new(), 0);
    let begun = Instant::now();
    loop {
        let late = |_| Problem::new(Kind::RequestTimeout);
        let part = timeout_at(begun + due(seen), stream.next()).await.map_err(late)?;
        let Some(part) = part else { break };
        let detail = "the connection broke inside the body";
        let part = part.map_err(|_| Problem::new(Kind::RequestInvalid).detail(detail))?;
        seen += part.len();
        if seen <= limit {
            kept.extend_from_slice(&part);
        } else if seen > DRAIN {
            break;
        }
    }
    if seen > limit { Err(too_large(limit)) } else { Ok(kept.into()) }
}

/// When what comes after so many bytes must have begun to arrive.
fn due(seen: usize) -> Duration {
    PACE_GRACE + Duration::from_millis(seen as u64 * 1000 / PACE)
}

fn too_large(limit: usize) -> Problem {
    Problem::new(Kind::TooLarge).detail(format!("the body is larger than {limit} bytes"))
}

/// Refuses by the headers, before a byte of the body is read.
fn check_declared(headers: &HeaderMap, limit: usize) -> Result<(), Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let length = length.and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    // A peer that asks first has not begun to write.
    let most = if headers.contains_key(EXPECT) { limit } else { DRAIN.max(limit) };
    if length > most as u64 {
        return Err(too_large(limit));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(value) if value != "identity" => {
            Err(Problem::new(Kind::MediaTypeRefused).detail("compressed bodies are not read"))
        }
        _ => Ok(()),
    }
}

/// A page of another site can send forms and plain text without asking, but not JSON.
fn check_media_type(headers: &HeaderMap, body: &Bytes) -> Result<(), Problem> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = declared.map(|text| text.split(';').next().unwrap_or_default().trim());
    match media_type {
        None if body.is_empty() => Ok(()),
        Some(media_type) if media_type.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => Err(Problem::new(Kind::MediaTypeRefused)),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(IDEMPOTENCY_KEY) else {
        return Ok(None);
    };
    let key = value.to_str().unwrap_or_default().trim();
    // A header's text may have tabs.
    if key.is_empty() || key.len() > MAX_KEY || key.contains('\t') {
        let detail = format!("1 to {MAX_KEY} visible ASCII characters");
        return Err(Problem::field("Idempotency-Key", detail));
    }
    Ok(Some(key.to_owned()))
}

/// The path with the query that says what is to be done. How long to wait is not part of that: a
/// repetition may wait longer.
fn target(uri: &Uri) -> String {
    let query = uri.query().unwrap_or_default().split('&');
    let parts: Vec<_> = query.filter(|part| !part.is_empty() && !is_wait(part)).collect();
    if parts.is_empty() {
        return uri.path().to_owned();
    }
    format!("{}?{}", uri.path(), parts.join("&"))
}

fn is_wait(part: &str) -> bool {
    part.split('=').next() == Some("wait")
}

/// `If-Match: "<epoch>"`, as given in `ETag`.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    match number.and_then(|number| number.parse().ok()) {
        Some(epoch) => Ok(Some(epoch)),
        None => Err(Problem::field("If-Match", "one epoch in quotes, as in ETag")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &str, value: &str) -> HeaderMap {
        let name: HeaderName = name.parse().unwrap();
        [(name, value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_repetition_may_wait_longer_and_asks_for_the_same() {
        let target = |text: &str| target(&text.parse().unwrap());
        assert_eq!(target("/v1/groups"), "/v1/groups");
        assert_eq!(target("/v1/groups?wait=10"), "/v1/groups");
        assert_eq!(target("/v1/x?wait=1&consumer=main&"), "/v1/x?consumer=main");
        assert_ne!(target("/v1/x?consumer=main"), target("/v1/x?consumer=other"));
    }

    #[test]
    fn if_match_takes_an_epoch() {
        assert_eq!(if_match(&headers("if-match", "\"12\"")).unwrap(), Some(12));
        assert_eq!(if_match(&headers("if-match", "*")).unwrap(), None);
        assert_eq!(if_match(&HeaderMap::new()).unwrap(), None);
        for bad in ["12", "\"x\"", "W/\"1\"", "\"1\", \"2\""] {
            assert!(if_match(&headers("if-match", bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_short_and_visible() {
        let key = idempotency_key(&headers("idempotency-key", "a b")).unwrap();
        assert_eq!(key.as_deref(), Some("a b"));
        assert!(idempotency_key(&headers("idempotency-key", "")).is_err());
        for bad in ["k".repeat(256), "a\tb".to_owned()] {
            assert!(idempotency_key(&headers("idempotency-key", &bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_json_is_read() {
        let body = Bytes::from_static(b"{}");
        let of = |media_type: &str| headers("content-type", media_type);
        assert!(check_media_type(&of("application/json"), &body).is_ok());
        assert!(check_media_type(&of("Application/JSON; charset=utf-8"), &body).is_ok());
        for bad in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp"] {
            assert!(check_media_type(&of(bad), &body).is_err(), "{bad}");
        }
        assert!(check_media_type(&HeaderMap::new(), &body).is_err());
        assert!(check_media_type(&HeaderMap::new(), &Bytes::new()).is_ok());
    }

    #[test]
    fn what_is_declared_too_large_or_compressed_is_not_read() {
        let declared = |length: &str, ask: bool| {
            let mut headers = headers("content-length", length);
            if ask {
                headers.insert(EXPECT, "100-continue".parse().unwrap());
            }
            check_declared(&headers, 10).map_err(|problem| problem.kind())
        };
        assert_eq!(declared("10", true), Ok(()));
        assert_eq!(declared("11", true), Err(Kind::TooLarge));
        assert_eq!(declared("11", false), Ok(()));
        assert_eq!(declared("4194305", false), Err(Kind::TooLarge));
        assert!(check_declared(&headers("content-encoding", "gzip"), 10).is_err());
    }

    #[tokio::test]
    async fn a_body_is_kept_up_to_the_limit() {
        assert_eq!(read(Body::from("0123456789"), 10).await.unwrap(), "0123456789");
        let refused = read(Body::from("0123456789a"), 10).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::TooLarge);
    }

    #[test]
    fn a_body_that_drips_is_given_up_and_a_large_one_has_its_time() {
        // A byte a second falls behind; 64 KiB every 3 s do not.
        assert!(Duration::from_secs(11) > due(11));
        for parts in 1..100_u32 {
            let seen = 64 * 1024 * parts as usize;
            assert!(Duration::from_secs(3) * parts < due(seen), "part {parts}");
        }
    }
}
