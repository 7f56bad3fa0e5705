//! Sessions against a real node over real QUIC, with real databases.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "helpers of tests are not tests to the lint, and test tasks are joined by hand"
)]

mod archive;
mod attachments;
mod bench;
mod changes;
mod clocks;
mod conversation;
mod damage;
mod failures;
mod halt;
mod refusals;
mod repair;
mod scale;
mod sizes;
mod tampered;
mod trust;
mod world;
