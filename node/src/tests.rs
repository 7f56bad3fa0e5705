//! The node as its clients see it: real QUIC on loopback, raw Cap'n Proto.

mod accounts;
mod base;
mod blobs;
mod claims;
mod client;
mod connections;
mod directory;
mod frames;
mod lifecycle;
mod operations;
mod raw;
mod session;
