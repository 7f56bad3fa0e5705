//! The frames of the WebSocket: JSON texts, one object each, told apart by `type`.

use quicproquo_client::Cursor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::model::{EventDto, MessageDto, NewMessage};
use crate::occasion;
use crate::problem::{Problem, ProblemBody};

/// What most frames take, bytes.
const ROOM: usize = 1024;

/// From the bot.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Incoming {
    /// Deliveries that are handled: these, or one and all before it on this connection.
    Ack {
        /// These deliveries.
        #[serde(default)]
        ids: Vec<String>,
        /// This one and all before it.
        #[serde(default)]
        up_to: Option<String>,
    },
    /// Deliveries that take longer; answered by `extended`.
    Extend {
        /// These deliveries.
        ids: Vec<String>,
        /// How long from now, 1,000 to 600,000; 30,000 when absent.
        #[serde(default)]
        lease_ms: Option<u64>,
    },
    /// The token, as the first frame of a browser that gave none.
    Auth {
        /// The token.
        token: String,
    },
    /// A message to send.
    Send(Box<Send>),
    /// Asks for `pong`.
    Ping {
        /// Anything; `pong` has the same.
        #[serde(default)]
        id: Option<Value>,
    },
}

/// A message to send; answered by `result` with the same `id`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SendRequest)]
pub(crate) struct Send {
    /// Chosen by the bot for the answer.
    pub(crate) id: Value,
    /// To which group.
    pub(crate) group_id: String,
    /// The body of `POST .../messages`.
    #[schema(value_type = NewMessage)]
    pub(crate) message: Value,
    /// As the header `Idempotency-Key`.
    #[serde(default)]
    pub(crate) idempotency_key: Option<String>,
    /// As the header `If-Match`.
    #[serde(default)]
    pub(crate) if_epoch: Option<u64>,
    /// As the parameter `wait`, in milliseconds.
    #[serde(default)]
    pub(crate) wait: Option<u64>,
}

/// To the bot.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Outgoing {
    /// The first frame.
    Hello {
        /// The connection's id, for logs.
        session: String,
        /// How often the gateway pings, in milliseconds.
        heartbeat_ms: u64,
        /// Events after this cursor follow.
        cursor: String,
        /// The consumer, if it is one.
        #[serde(skip_serializing_if = "Option::is_none")]
        consumer: Option<String>,
    },
    /// An event.
    Event {
        /// To be acknowledged by a consumer.
        delivery_id: String,
        /// Whether it was asked for again.
        #[serde(skip_serializing_if = "Option::is_none")]
        replayed: Option<bool>,
        /// The event.
        event: Box<EventDto>,
    },
    /// The answer to `extend`.
    Extended {
        /// Deliveries that are not under way any more.
        gone: Vec<String>,
    },
    /// What became of a `send`.
    Result {
        /// The bot's id for it.
        id: Value,
        /// The status the REST route would have answered.
        status: u16,
        /// Whether an earlier request with the same key did the work.
        #[serde(skip_serializing_if = "Option::is_none")]
        replayed: Option<bool>,
        /// The message, when it was accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<Box<MessageDto>>,
        /// Why it was not accepted.
        #[serde(skip_serializing_if = "Option::is_none")]
        problem: Option<Box<ProblemBody>>,
    },
    /// The answer to `ping`.
    Pong {
        /// The bot's id for it.
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<Value>,
    },
    /// A frame could not be used; the connection goes on.
    Error {
        /// Why.
        problem: Box<ProblemBody>,
    },
}

impl Outgoing {
    /// The first frame.
    pub(crate) fn hello(
        session: &str,
        heartbeat_ms: u64,
        cursor: Cursor,
        consumer: Option<String>,
    ) -> Self {
        let (session, cursor) = (session.to_owned(), cursor.to_string());
        Self::Hello { session, heartbeat_ms, cursor, consumer }
    }

    /// An event.
    pub(crate) fn event(delivery_id: String, replayed: bool, event: EventDto) -> Self {
        let replayed = replayed.then_some(true);
        Self::Event { delivery_id, replayed, event: Box::new(event) }
    }

    /// A frame could not be used.
    pub(crate) fn error(problem: Problem, session: Option<&str>) -> Self {
        Self::Error { problem: Box::new(occasion::told(problem, session)) }
    }

    /// A `send` was refused, which was known as this.
    pub(crate) fn refused(id: Value, problem: Problem, instance: String) -> Self {
        let status = problem.kind().status().as_u16();
        let problem = Some(Box::new(problem.body(instance)));
        Self::Result { id, status, replayed: None, message: None, problem }
    }

    /// The frame's text.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::with_capacity(ROOM);
        match serde_json::to_writer(&mut text, self) {
            Ok(()) => String::from_utf8(text).unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::parse_json;
    use crate::problem::Kind;

    #[test]
    fn frames_of_bots_parse() {
        let ack = parse_json::<Incoming>(br#"{"type":"ack","up_to":"c1_1"}"#).unwrap();
        assert!(matches!(ack, Incoming::Ack { up_to: Some(_), .. }));
        let text = br#"{"type":"send","id":7,"group_id":"00","message":{"type":"text"}}"#;
        let Incoming::Send(send) = parse_json(text).unwrap() else { panic!("not a send") };
        assert_eq!((send.id, send.wait), (Value::from(7), None));
        assert!(matches!(parse_json(br#"{"type":"ping"}"#), Ok(Incoming::Ping { id: None })));
        for bad in [r#"{"type":"shout"}"#, r#"{"ids":[]}"#, "[]", r#"{"type":"ping","x":1}"#] {
            assert!(parse_json::<Incoming>(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn frames_to_bots_have_a_type() {
        let hello = Outgoing::hello("ws_1", 25_000, Cursor::default(), None).text();
        let hello: Value = serde_json::from_str(&hello).unwrap();
        assert_eq!((&hello["type"], &hello["cursor"]), (&"hello".into(), &"c1_0".into()));
        let problem = Problem::new(Kind::GroupNotFound);
        let refused = Outgoing::refused(7.into(), problem, occasion::instance("1")).text();
        let refused: Value = serde_json::from_str(&refused).unwrap();
        assert_eq!((&refused["type"], &refused["status"]), (&"result".into(), &404.into()));
        assert_eq!(refused["problem"]["type"], "urn:quicproquo:problem:group-not-found");
    }
}
