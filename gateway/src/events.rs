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

pub(crate) use consumers::{Consumers, Standing, read_again};
pub(crate) use poll::poll;
pub(crate) use sse::{LAST_EVENT_ID, sse, wants_sse};
pub(crate) use ticket::Tickets;
pub(crate) use websocket::{Caller, ConnectionPermit, upgrade};
pub(crate) use writer::ConsumerWriter;
