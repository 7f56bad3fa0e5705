//! Parameters of the event log's doors.

use std::fmt::Write;
use std::time::Duration;

use quicproquo_client::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::query::{MAX_WAIT_MS, cursor, limit};
use crate::events::Standing;
use crate::problem::Problem;

/// How long a delivery may be unacknowledged, in milliseconds.
const DEFAULT_LEASE_MS: u64 = 30_000;
const LEASE_MS: std::ops::RangeInclusive<u64> = 1_000..=600_000;
/// How many deliveries of a connection may be unacknowledged.
const DEFAULT_PREFETCH: u32 = 100;

/// Which events a caller wants, whatever the door.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// Where to begin, if the caller says so.
    pub(crate) after: Option<Cursor>,
    /// Only these types, separated by commas.
    pub(crate) types: Option<&'a str>,
    /// Only these groups, separated by commas.
    pub(crate) groups: Option<&'a str>,
    /// The named consumer.
    pub(crate) consumer: Option<&'a str>,
    /// How long its deliveries may be unacknowledged.
    pub(crate) lease: Duration,
    /// How many.
    pub(crate) prefetch: usize,
}

/// Which events to get, and how long to wait for them.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PollParams {
    /// Only events after this cursor; the log's tail when absent.
    after: Option<String>,
    /// How long to wait for an event, in milliseconds, at most 60,000; 0 when absent. A stream
    /// does not end by itself.
    #[param(maximum = 60_000, example = 0)]
    timeout: Option<u64>,
    /// At most so many, 1 to 1,000; 100 when absent. A stream has no limit.
    #[param(minimum = 1, maximum = 1_000, example = 100)]
    limit: Option<u32>,
    /// Only these types, separated by commas.
    #[param(example = "message.received,group.joined")]
    types: Option<String>,
    /// Only events about these groups (ids), separated by commas.
    groups: Option<String>,
    /// Go on where this consumer has acknowledged, instead of `after`. A consumer that is new
    /// begins at `after`, or at the tail.
    pub(crate) consumer: Option<String>,
    /// How long a delivery to the consumer may be unacknowledged before it is delivered again, in
    /// milliseconds, 1,000 to 600,000; 30,000 when absent.
    #[param(minimum = 1_000, maximum = 600_000, example = 30_000)]
    lease: Option<u64>,
    /// How many deliveries of a stream may be unacknowledged, 1 to 1,000; 100 when absent.
    #[param(minimum = 1, maximum = 1_000, example = 100)]
    prefetch: Option<u32>,
}

impl PollParams {
    /// How long to wait.
    pub(crate) fn timeout(&self) -> Result<Duration, Problem> {
        match self.timeout.unwrap_or_default() {
            ms if ms <= MAX_WAIT_MS => Ok(Duration::from_millis(ms)),
            _ => Err(Problem::field("timeout", format!("at most {MAX_WAIT_MS} milliseconds"))),
        }
    }

    /// How many to answer.
    pub(crate) fn limit(&self) -> Result<usize, Problem> {
        Ok(limit(self.limit, 100, 1000)? as usize)
    }

    /// Which events.
    pub(crate) fn wanted(&self) -> Result<Wanted<'_>, Problem> {
        let Self { after, types, groups, consumer, lease, prefetch, .. } = self;
        wanted([after, types, groups, consumer], *lease, *prefetch)
    }

    /// The path and query of what comes after this answer.
    pub(crate) fn next_page(&self, next: Cursor) -> String {
        let numbers =
            [self.timeout, self.limit.map(u64::from)].map(|one| one.map(|n| n.to_string()));
        let [timeout, limit] = &numbers;
        let parameters = [
            ("timeout", timeout),
            ("limit", limit),
            ("types", &self.types),
            ("groups", &self.groups),
        ];
        let mut target = format!("/v1/events?after={next}");
        for (name, value) in parameters {
            if let Some(value) = value {
                // Writing to a String cannot fail.
                let _ = write!(target, "&{name}={value}");
            }
        }
        target
    }
}

/// Which events to stream.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct StreamParams {
    /// Only events after this cursor; the log's tail when absent.
    after: Option<String>,
    /// Only these types, separated by commas.
    #[param(example = "message.received")]
    types: Option<String>,
    /// Only events about these groups (ids), separated by commas.
    groups: Option<String>,
    /// The consumer whose cursor is kept by the gateway and moved by acks. One that is new
    /// begins at `after`, or at the tail.
    consumer: Option<String>,
    /// How long a delivery to the consumer may be unacknowledged before it is delivered again, in
    /// milliseconds, 1,000 to 600,000; 30,000 when absent.
    #[param(minimum = 1_000, maximum = 600_000, example = 30_000)]
    lease: Option<u64>,
    /// How many deliveries may be unacknowledged, 1 to 1,000; 100 when absent.
    #[param(minimum = 1, maximum = 1_000, example = 100)]
    prefetch: Option<u32>,
    /// A ticket of `POST /v1/events/ticket`, in the place of a token.
    #[expect(dead_code, reason = "read where the caller is asked for who it is")]
    ticket: Option<String>,
}

impl StreamParams {
    /// Which events.
    pub(crate) fn wanted(&self) -> Result<Wanted<'_>, Problem> {
        let Self { after, types, groups, consumer, lease, prefetch, .. } = self;
        wanted([after, types, groups, consumer], *lease, *prefetch)
    }
}

fn wanted(
    [after, types, groups, consumer]: [&Option<String>; 4],
    lease: Option<u64>,
    prefetch: Option<u32>,
) -> Result<Wanted<'_>, Problem> {
    for (name, given) in [("lease", lease.is_some()), ("prefetch", prefetch.is_some())] {
        if given && consumer.is_none() {
            return Err(Problem::field(name, "only with consumer"));
        }
    }
    Ok(Wanted {
        after: after.as_deref().map(|text| cursor("after", text)).transpose()?,
        types: types.as_deref(),
        groups: groups.as_deref(),
        consumer: consumer.as_deref(),
        lease: lease_of("lease", lease)?,
        prefetch: limit_of("prefetch", prefetch)?,
    })
}

/// A lease in milliseconds, as a parameter or field says.
pub(crate) fn lease_of(name: &str, given: Option<u64>) -> Result<Duration, Problem> {
    let ms = given.unwrap_or(DEFAULT_LEASE_MS);
    if LEASE_MS.contains(&ms) {
        return Ok(Duration::from_millis(ms));
    }
    let detail = format!("{} to {} milliseconds", LEASE_MS.start(), LEASE_MS.end());
    Err(Problem::field(name, detail))
}

fn limit_of(name: &str, given: Option<u32>) -> Result<usize, Problem> {
    match given.unwrap_or(DEFAULT_PREFETCH) {
        count if (1..=1000).contains(&count) => Ok(count as usize),
        _ => Err(Problem::field(name, "1 to 1000")),
    }
}

/// What a consumer has handled.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ack {
    /// The consumer.
    #[schema(example = "main")]
    pub(crate) consumer: String,
    /// A delivery: it and all before it on its connection, or in its answer, are handled. Or a
    /// cursor: everything up to it is, whoever has it.
    #[serde(default)]
    #[schema(example = "c1_1f.9a0be1f3.2")]
    pub(crate) up_to: Option<String>,
    /// These deliveries (their `delivery_id`). One that is set aside is thrown away.
    #[serde(default)]
    #[schema(example = json!(["c1_1f.9a0be1f3.2"]))]
    pub(crate) ids: Vec<String>,
}

/// Deliveries that take longer.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Extend {
    /// The consumer.
    #[schema(example = "main")]
    pub(crate) consumer: String,
    /// These deliveries (their `delivery_id`).
    #[schema(example = json!(["c1_1f.9a0be1f3.2"]))]
    pub(crate) ids: Vec<String>,
    /// How long from now, in milliseconds, 1,000 to 600,000; 30,000 when absent.
    #[serde(default)]
    #[schema(minimum = 1_000, maximum = 600_000, example = 30_000)]
    pub(crate) lease_ms: Option<u64>,
}

/// What became of longer leases.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Extended {
    /// Deliveries that are not under way any more: acknowledged, or being delivered again.
    pub(crate) gone: Vec<String>,
}

/// Where a consumer is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConsumerPosition {
    /// The consumer.
    #[schema(example = "main")]
    pub(crate) consumer: String,
    /// Everything up to here is acknowledged, durably.
    #[schema(example = "c1_1f")]
    pub(crate) cursor: String,
}

/// A named consumer.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Consumer)]
pub(crate) struct ConsumerDto {
    /// Its name.
    #[schema(example = "main")]
    name: String,
    /// Everything up to here is acknowledged.
    #[schema(example = "c1_1f")]
    cursor: String,
    /// Live connections.
    #[schema(example = 1)]
    connections: usize,
    /// Events that were read for it and are not acknowledged.
    #[schema(example = 3)]
    open: usize,
    /// Events that are set aside.
    #[schema(example = 0)]
    parked: usize,
}

impl ConsumerDto {
    /// A consumer as it stands.
    pub(crate) fn new(name: String, at: &Standing) -> Self {
        let Standing { cursor, connections, open, parked } = *at;
        Self { name, cursor: cursor.to_string(), connections, open, parked }
    }
}

/// Which consumer.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ConsumerParams {
    /// The consumer; all of the bot when absent.
    #[param(example = "main")]
    pub(crate) consumer: Option<String>,
}

/// A ticket for one WebSocket.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Ticket)]
pub(crate) struct TicketDto {
    /// Give it as `?ticket=` within 30 s, once.
    #[schema(example = "4fZ8sN0wYb2kQm7RrT1xVc6LdP9eGhJu")]
    pub(crate) ticket: String,
    /// When it ends.
    #[schema(format = DateTime)]
    pub(crate) expires_at: String,
}

/// An event that was delivered in vain too often.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ParkedEvent)]
pub(crate) struct ParkedDto {
    /// Its last delivery.
    #[schema(example = "c1_1f.9a0be1f3.2")]
    pub(crate) delivery_id: String,
    /// How often it was delivered.
    #[schema(example = 10)]
    pub(crate) attempts: u32,
    /// Since when it is set aside.
    #[schema(format = DateTime)]
    pub(crate) parked_at: String,
    /// The event; `null` when it is older than what is kept.
    #[schema(required = true)]
    pub(crate) event: Option<super::EventDto>,
}

/// Which set-aside events to list.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ParkedParams {
    /// The consumer.
    #[param(example = "main")]
    pub(crate) consumer: String,
    /// Only events after this cursor: the `next` of the page before.
    after: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    #[param(minimum = 1, maximum = 200, example = 50)]
    limit: Option<u32>,
}

impl ParkedParams {
    /// Where to go on, and how many.
    pub(crate) fn page(&self) -> Result<(Option<Cursor>, usize), Problem> {
        let after = self.after.as_deref().map(|text| cursor("after", text)).transpose()?;
        Ok((after, limit(self.limit, 50, 200)? as usize))
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::Query;

    use super::*;
    use crate::problem::Kind;

    fn query<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
        let uri = format!("/?{text}").parse().unwrap();
        Query::try_from_uri(&uri).ok().map(|Query(value)| value)
    }

    #[test]
    fn cursors_and_limits_are_checked() {
        let poll = query::<PollParams>("after=c1_1f&timeout=5&limit=1000").unwrap();
        assert_eq!(poll.wanted().unwrap().after, Some("c1_1f".parse().unwrap()));
        assert_eq!(poll.timeout().unwrap(), Duration::from_millis(5));
        assert_eq!(poll.limit().unwrap(), 1000);
        for bad in ["limit=0", "limit=1001"] {
            assert!(query::<PollParams>(bad).unwrap().limit().is_err(), "{bad}");
        }
        let bad = query::<StreamParams>("after=7").unwrap();
        assert_eq!(bad.wanted().unwrap_err().kind(), Kind::CursorInvalid);
    }

    #[test]
    fn leases_belong_to_consumers() {
        let wanted = |text: &str| {
            let params = query::<StreamParams>(text).unwrap();
            params.wanted().map(|wanted| (wanted.lease.as_millis(), wanted.prefetch)).ok()
        };
        assert_eq!(wanted("consumer=a"), Some((30_000, 100)));
        assert_eq!(wanted("consumer=a&lease=1000&prefetch=1"), Some((1_000, 1)));
        for bad in ["lease=2000", "consumer=a&lease=999", "consumer=a&prefetch=1001"] {
            assert_eq!(wanted(bad), None, "{bad}");
        }
    }
}
