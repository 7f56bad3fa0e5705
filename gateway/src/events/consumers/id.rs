//! What one delivery is called.

use std::fmt;
use std::str::FromStr;

use quicproquo_client::Cursor;

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
        match parts.next() {
            None => Ok(Self { cursor, conn, count }),
            Some(_) => Err(NotADelivery),
        }
    }
}
