//! What one delivery is called.

use std::fmt;
use std::str::FromStr;

use quicproquo_client::Cursor;

use crate::problem::{Kind, Problem};

/// A connection of a consumer, random so that ids of an earlier process name nobody.
pub(super) type Conn = u32;

/// One delivery of one event: its cursor, the connection, and its number among all deliveries of
/// the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DeliveryId {
    /// The event.
    pub(crate) cursor: Cursor,
    /// To which connection.
    pub(super) conn: Conn,
    /// Later ones of a connection have higher numbers.
    pub(super) count: u64,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cursor, conn, count } = self;
        write!(f, "{cursor}.{conn:08x}.{count:x}")
    }
}

/// No delivery has this name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotADelivery;

impl FromStr for DeliveryId {
    type Err = NotADelivery;

    fn from_str(text: &str) -> Result<Self, NotADelivery> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(NotADelivery);
        let cursor = next()?.parse().map_err(|_| NotADelivery)?;
        let conn = u32::from_str_radix(next()?, 16).map_err(|_| NotADelivery)?;
        let count = u64::from_str_radix(next()?, 16).map_err(|_| NotADelivery)?;
        let id = Self { cursor, conn, count };
        // As it is written: numbers could be in capitals, or begin with zeros or a sign.
        if id.to_string() == text { Ok(id) } else { Err(NotADelivery) }
    }
}

/// What an acknowledgement lists.
#[derive(Debug, Clone, Copy)]
pub(super) enum UpTo {
    /// A delivery and those before it on its connection.
    Delivery(DeliveryId),
    /// A place in the log.
    Cursor(Cursor),
}

/// Reads deliveries' ids; a cursor stands for its event.
pub(super) fn parse_ids(ids: &[String], tail: Cursor) -> Result<Vec<Cursor>, Problem> {
    let parse = |text: &String| match parse_place(text, tail) {
        Some(UpTo::Delivery(id)) => Ok(id.cursor),
        Some(UpTo::Cursor(cursor)) => Ok(cursor),
        None => Err(not_a_delivery("/ids")),
    };
    ids.iter().map(parse).collect()
}

pub(super) fn parse_up_to(text: &str, tail: Cursor) -> Result<UpTo, Problem> {
    parse_place(text, tail).ok_or_else(|| not_a_delivery("/up_to"))
}

fn parse_place(text: &str, tail: Cursor) -> Option<UpTo> {
    let place = match text.parse::<DeliveryId>() {
        Ok(id) => UpTo::Delivery(id),
        Err(_) => UpTo::Cursor(text.parse().ok()?),
    };
    let cursor = match place {
        UpTo::Delivery(id) => id.cursor,
        UpTo::Cursor(cursor) => cursor,
    };
    (cursor <= tail).then_some(place)
}

pub(super) fn not_a_delivery(pointer: &str) -> Problem {
    Problem::new(Kind::CursorInvalid).at(pointer, "not of this event log")
}
