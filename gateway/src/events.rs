//! The event log's doors: long poll and WebSocket, and the consumers behind both.

mod consumers;
mod filter;
mod frames;
mod poll;
mod stream;
mod websocket;
mod writer;

pub(crate) use consumers::Consumers;
pub(crate) use poll::poll;
pub(crate) use websocket::upgrade;
pub(crate) use writer::CursorWriter;
