//! Cap'n Proto RPC over one QUIC stream: the standard unpacked framing and the `VatNetwork` of
//! capnp-rpc, with bounds on all that a peer can make this end hold.
//!
//! Node and client both use it. What is allowed comes in as [`Rules`]; the owner of a connection
//! keeps a [`Link`] to raise limits, to wait for room and to learn why a connection was ended.

mod budget;
mod datagrams;
mod eager;
mod frame;
mod ledger;
mod link;
mod message;
mod network;
mod reader;
mod writer;

pub use budget::{Budget, Loan};
pub use datagrams::{LOOPBACK_PAYLOAD, bind, enlarge_datagrams, is_loopback};
pub use eager::Eager;
pub use frame::{Assembler, Frame, FrameError, FrameLimit, MAX_SEGMENTS};
pub use ledger::CallLimit;
pub use link::{Fault, Link, Rules, Turn};
pub use network::{Network, open};
