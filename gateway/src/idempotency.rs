//! `Idempotency-Key` on admin routes. (On bot routes the engine keeps the answers.)
//!
//! The answer is written in the transaction of its effect; a key whose request is running is
//! held in memory, so a crash frees it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use quicproquo_client::Idempotency;
use quicproquo_client::clock::now_ms;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::auth::Bot;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;
use crate::store::Record;

/// SHA-256 over method, target and body of a request.
pub(crate) fn fingerprint(method: &str, target: &str, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [method.as_bytes(), target.as_bytes(), body] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// Keys of admin requests that run now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running(Arc<Mutex<HashSet<String>>>);

impl Running {
    /// Holds a key until what is answered is dropped. `None`: it is held already.
    pub(crate) fn hold(&self, key: String) -> Option<Held> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone());
        fresh.then(|| Held { key, running: self.clone() })
    }
}

/// A key that is held.
#[derive(Debug)]
pub(crate) struct Held {
    key: String,
    running: Running,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

/// What to do with a request.
#[derive(Debug)]
pub(crate) enum Begin {
    /// Do it.
    Fresh(Once),
    /// It was done: this was the answer.
    Replay(Box<Response>),
}

/// Holds a key until the request is answered or given up.
#[derive(Debug)]
pub(crate) struct Once {
    request: Option<Idempotency>,
    running: Running,
}

/// Begins an admin request.
///
/// # Errors
/// `IdempotencyRunning`, `IdempotencyMismatch`, `StorageUnavailable`.
pub(crate) async fn begin(
    state: &AppState,
    request: Option<Idempotency>,
) -> Result<Begin, Problem> {
    let running = state.running.clone();
    let Some(request) = request else {
        return Ok(Begin::Fresh(Once { request: None, running }));
    };
    if !running.0.lock().unwrap_or_else(PoisonError::into_inner).insert(request.key.clone()) {
        return Err(Problem::new(Kind::IdempotencyRunning));
    }
    let once = Once { request: Some(request.clone()), running };
    let Some(record) = state.store.request(&request.key).await? else {
        return Ok(Begin::Fresh(once));
    };
    if record.fingerprint != request.fingerprint {
        return Err(Problem::new(Kind::IdempotencyMismatch));
    }
    let status = StatusCode::from_u16(record.status).unwrap_or(StatusCode::OK);
    let epoch = record.answer["epoch"].as_u64();
    let reply = Reply::new(status, record.answer).replayed(true);
    Ok(Begin::Replay(Box::new(reply.epoch(epoch).into_response())))
}

/// As [`begin`], for a bot's request: the keys of each bot and of the admin are apart.
///
/// # Errors
/// As [`begin`].
pub(crate) async fn begin_own(
    state: &AppState,
    bot: &Bot,
    request: Option<Idempotency>,
) -> Result<Begin, Problem> {
    let own = |once: Idempotency| {
        let key = format!("{}/{}", bot.record.bot_id, once.key);
        Idempotency { key, ..once }
    };
    begin(state, request.map(own)).await
}

/// Does a bot's request whose effect is durable before its answer is: after a crash between them it
/// is done again.
///
/// # Errors
/// As [`begin`], and those of the work.
pub(crate) async fn once<T: Serialize>(
    state: &AppState,
    bot: &Bot,
    request: Option<Idempotency>,
    status: StatusCode,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<Response, Problem> {
    let once = match begin_own(state, bot, request).await? {
        Begin::Replay(response) => return Ok(*response),
        Begin::Fresh(once) => once,
    };
    let answer = work.await?;
    let answer = serde_json::to_value(&answer).unwrap_or_default();
    if let Some(record) = once.record(status, &answer) {
        state.store.put_request(&record).await?;
    }
    let epoch = answer["epoch"].as_u64();
    Ok(Reply::new(status, answer).epoch(epoch).into_response())
}

impl Once {
    /// The record to write with the effect; the answer must be without secrets.
    pub(crate) fn record(&self, status: StatusCode, answer: &impl Serialize) -> Option<Record> {
        self.request.as_ref().map(|request| Record {
            key: request.key.clone(),
            fingerprint: request.fingerprint,
            status: status.as_u16(),
            answer: serde_json::to_value(answer).unwrap_or_default(),
            created_at_ms: now_ms(),
        })
    }
}

impl Drop for Once {
    fn drop(&mut self) {
        if let Some(request) = &self.request {
            let mut keys = self.running.0.lock().unwrap_or_else(PoisonError::into_inner);
            keys.remove(&request.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_tell_requests_apart() {
        let one = fingerprint("POST", "/v1/groups", b"{}");
        assert_eq!(one, fingerprint("POST", "/v1/groups", b"{}"));
        assert_ne!(one, fingerprint("POST", "/v1/groups", b"{} "));
        assert_ne!(one, fingerprint("PATCH", "/v1/groups", b"{}"));
        // Also of one length.
        assert_ne!(one, fingerprint("POST", "/v1/groups", b"[]"));
        assert_ne!(one, fingerprint("POST", "/v1/tokens", b"{}"));
        assert_ne!(one, fingerprint("HEAD", "/v1/groups", b"{}"));
        assert_ne!(fingerprint("POST", "/a", b"b"), fingerprint("POST", "/ab", b""));
    }

    #[test]
    fn a_key_is_free_again_when_its_request_ends() {
        let running = Running::default();
        running.0.lock().unwrap().insert("k".to_owned());
        let request = Idempotency { key: "k".to_owned(), fingerprint: [0; 32] };
        let once = Once { request: Some(request), running: running.clone() };
        assert_eq!(once.record(StatusCode::CREATED, &1).unwrap().status, 201);
        drop(once);
        assert!(running.0.lock().unwrap().is_empty());
    }
}
