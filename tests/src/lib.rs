//! The harness of the end-to-end tests: real processes, driven through REST and WebSocket, and for
//! what concerns the node alone through its RPC interface.
//!
//! The tests start the `qpq` binary that lies beside them in the target directory, so it must be
//! built first (`cargo build -p quicproquo-cli`; the gate does that). Whatever is wrong panics
//! with a sentence that says what; every wait is bounded.
#![expect(clippy::missing_panics_doc, reason = "a test harness reports by panicking")]

pub mod api;
pub mod bot;
pub mod cdp;
pub mod crowd;
pub mod described;
pub mod disk;
pub mod ear;
pub mod files;
pub mod harm;
pub mod later;
pub mod load;
pub mod process;
pub mod proving;
pub mod proxy;
pub mod rpc;
pub mod seed;
pub mod shell;
pub mod slope;
pub mod socket;
pub mod sse;
pub mod target;
pub mod terminal;
pub mod trace;
pub mod wait;

pub use api::{Answer, Api};
pub use bot::{Bot, bots, pair};
pub use ear::Ear;
pub use later::Later;
pub use process::{Launch, Running, tool};
pub use shell::Shell;
pub use socket::Socket;
pub use sse::Sse;
pub use target::Target;
pub use terminal::Terminal;
pub use wait::{LONG, SOON, wait_for, within};
