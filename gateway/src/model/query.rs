//! Parameters of queries.

use std::fmt::Write as _;
use std::time::Duration;

use quicproquo_client::{Cursor, HistoryQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::message::is_kind;
use super::{parse_time, rfc3339};
use crate::problem::{Kind, Problem};

pub(super) const MAX_WAIT_MS: u64 = 60_000;
const MAX_KINDS: usize = 16;
const DEFAULT_CHANGE_WAIT_MS: u64 = 10_000;
const DEFAULT_SEND_WAIT_MS: u64 = 2_000;

/// How long to wait for a change.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wait {
    /// How long to wait for the commit to win, in milliseconds, at most 60,000; 10,000 when
    /// absent. What takes longer is answered 202.
    #[param(maximum = 60_000, example = 10_000)]
    wait: Option<u64>,
}

impl Wait {
    /// The time to wait.
    pub(crate) fn duration(self) -> Result<Duration, Problem> {
        duration(self.wait, DEFAULT_CHANGE_WAIT_MS)
    }
}

/// How long to wait for a message.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SendWait {
    /// How long to wait for `sent`, in milliseconds, at most 60,000; 2,000 when absent. After
    /// that the answer says `queued`; the message is durable in both cases.
    #[param(maximum = 60_000, example = 2_000)]
    wait: Option<u64>,
}

impl SendWait {
    /// The same as a parameter says, for other doors.
    pub(crate) fn of(wait: Option<u64>) -> Self {
        Self { wait }
    }

    /// The time to wait.
    pub(crate) fn duration(self) -> Result<Duration, Problem> {
        duration(self.wait, DEFAULT_SEND_WAIT_MS)
    }
}

fn duration(wait: Option<u64>, default: u64) -> Result<Duration, Problem> {
    match wait.unwrap_or(default) {
        ms if ms <= MAX_WAIT_MS => Ok(Duration::from_millis(ms)),
        _ => Err(Problem::field("wait", format!("at most {MAX_WAIT_MS} milliseconds"))),
    }
}

/// Which messages to list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryParams {
    /// Only messages before this cursor: the `next` of the page before.
    before: Option<String>,
    /// Only messages after this cursor.
    after: Option<String>,
    /// At most so many, 1 to 200; 50 when absent. A page of a search may have fewer, or none,
    /// though `next` leads to more.
    #[param(minimum = 1, maximum = 200, example = 50)]
    limit: Option<u32>,
    /// Only messages received, or sent, at this time or later (RFC 3339, the gateway's clock).
    #[param(format = DateTime, example = "2026-11-24T00:00:00Z")]
    since: Option<String>,
    /// Only messages received, or sent, before this time (RFC 3339, the gateway's clock).
    #[param(format = DateTime, example = "2026-11-25T00:00:00Z")]
    until: Option<String>,
    /// Only messages of these types, separated by commas, at most 16.
    #[serde(rename = "type")]
    #[param(
        example = "text,file",
        pattern = r"^[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*(,[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*){0,15}$"
    )]
    kind: Option<String>,
}

impl HistoryParams {
    /// For the engine.
    pub(crate) fn parse(&self) -> Result<HistoryQuery, Problem> {
        Ok(HistoryQuery {
            before: self.before.as_deref().map(|text| cursor("before", text)).transpose()?,
            after: self.after.as_deref().map(|text| cursor("after", text)).transpose()?,
            limit: limit(self.limit, 50, 200)?,
            since_ms: self.since.as_deref().map(|text| time("since", text)).transpose()?,
            until_ms: self.until.as_deref().map(|text| time("until", text)).transpose()?,
            kinds: self.kind.as_deref().map(kinds).transpose()?.unwrap_or_default(),
        })
    }

    /// Path and query of the page that begins at `next`.
    pub(crate) fn next_page(&self, path: &str, next: Cursor) -> String {
        // As it was understood: in a link nothing stands as the caller wrote it but what has one form.
        let moment = |name: &str, text: &Option<String>| {
            text.as_deref().and_then(|text| time(name, text).ok()).map(rfc3339)
        };
        let parameters = [
            ("limit", self.limit.map(|limit| limit.to_string())),
            ("after", self.after.clone()),
            ("since", moment("since", &self.since)),
            ("until", moment("until", &self.until)),
            ("type", self.kind.clone()),
        ];
        let mut target = format!("{path}?before={next}");
        for (name, value) in parameters {
            if let Some(value) = value {
                let _ = write!(target, "&{name}={value}");
            }
        }
        target
    }
}

fn time(name: &str, text: &str) -> Result<u64, Problem> {
    // In a query an offset's plus that is not escaped reads as a space.
    parse_time(&text.replace(' ', "+"))
        .ok_or_else(|| Problem::field(name, "a time like 2026-11-24T00:00:00Z"))
}

fn kinds(text: &str) -> Result<Vec<String>, Problem> {
    let kinds: Vec<String> = text.split(',').map(str::to_owned).collect();
    let wrong = |kind: &String| !is_kind(kind);
    if kinds.len() > MAX_KINDS || kinds.iter().any(wrong) {
        let detail = format!("at most {MAX_KINDS} types, as messages have them");
        return Err(Problem::field("type", detail));
    }
    Ok(kinds)
}

pub(super) fn cursor(name: &str, text: &str) -> Result<Cursor, Problem> {
    text.parse()
        .map_err(|_| Problem::new(Kind::CursorInvalid).at(name, "not a cursor of this event log"))
}

pub(super) fn limit(given: Option<u32>, default: u32, most: u32) -> Result<u32, Problem> {
    match given.unwrap_or(default) {
        limit if (1..=most).contains(&limit) => Ok(limit),
        _ => Err(Problem::field("limit", format!("1 to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;

    fn query<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
        let uri = format!("/?{text}").parse().unwrap();
        Query::try_from_uri(&uri).ok().map(|Query(value)| value)
    }

    #[test]
    fn waits_have_defaults_and_a_limit() {
        let wait = query::<Wait>("").unwrap();
        assert_eq!(wait.duration().unwrap(), Duration::from_secs(10));
        assert_eq!(SendWait::of(Some(0)).duration().unwrap(), Duration::ZERO);
        assert!(query::<Wait>("wait=60001").unwrap().duration().is_err());
        assert!(query::<Wait>("wait=-1").is_none());
        assert!(query::<Wait>("weight=1").is_none());
    }

    #[test]
    fn cursors_and_limits_are_checked() {
        let history = query::<HistoryParams>("before=c1_2").unwrap().parse().unwrap();
        assert_eq!((history.before, history.limit), (Some("c1_2".parse().unwrap()), 50));
    }
}
