//! The node as its clients see it: real QUIC on loopback, raw Cap'n Proto.

mod authorisation;
mod base;
mod client;
mod directory;
mod leases;
mod lifecycle;
pub(crate) mod methods;
mod session;
