//! End-to-end tests: real processes, driven through REST and WebSocket.

mod certificates;
mod conversation;
mod errors;
mod examples;
mod idempotency;
mod kill;
mod membership;
mod memory;
mod offline;
mod openapi;
mod races;
mod restart;
mod secrecy;
mod showcase;
mod startup;
mod streams;
mod swagger;
mod tokens;
