//! End-to-end tests: real processes, driven through REST and WebSocket.

mod accounts;
mod certificates;
mod conversation;
mod disk;
mod errors;
mod examples;
mod gaps;
mod idempotency;
mod kill;
mod logs;
mod membership;
mod memory;
mod offline;
mod openapi;
mod operations;
mod races;
mod restart;
mod secrecy;
mod showcase;
mod startup;
mod streams;
mod swagger;
mod tokens;
