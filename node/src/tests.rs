//! The node as its clients see it: real QUIC on loopback, raw Cap'n Proto.

mod accounts;
mod authorisation;
mod base;
mod blobs;
mod claims;
pub(crate) mod client;
mod connections;
mod directory;
mod frames;
mod leases;
mod lifecycle;
pub(crate) mod methods;
mod operations;
mod order;
mod raw;
mod session;
