//! Sessions against a real node over real QUIC, with real databases.

mod conversation;
mod failures;
mod world;
