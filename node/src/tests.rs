//! The node as its clients see it: real QUIC on loopback, raw Cap'n Proto.

mod authorisation;
mod base;
mod client;
mod connections;
mod directory;
mod frames;
mod leases;
mod lifecycle;
pub(crate) mod methods;
mod operations;
mod raw;
mod session;
