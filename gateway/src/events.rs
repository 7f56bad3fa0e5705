//! The event log's doors: long poll, SSE, WebSocket and webhooks, and the consumers behind all.

mod close;
mod consumers;
mod filter;
mod frames;
mod poll;
mod source;
mod sse;
mod stream;
mod ticket;
mod websocket;
mod writer;

pub(crate) use close::close_codes;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use consumers::DeliveryId;
pub(crate) use consumers::{Connection, Consumers, Delivery, Standing, Terms, read_again};
pub(crate) use filter::Filter;
pub(crate) use frames::{Incoming, Outgoing};
pub(crate) use poll::poll;
pub(crate) use source::with_ends;
pub(crate) use sse::{LAST_EVENT_ID, sse, wants_sse};
pub(crate) use stream::{AUTH_TIMEOUT, HEARTBEAT, SILENCE};
pub(crate) use ticket::Tickets;
pub(crate) use websocket::{Caller, upgrade};
pub(crate) use writer::ConsumerWriter;
