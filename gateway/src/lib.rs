//! The quicproquo gateway: REST and WebSocket for bots in any language.
//!
//! [`Gateway::bind`] opens the gateway's own database and its listener, [`Gateway::serve`] answers
//! until it is told to stop. Everything cryptographic happens behind
//! [`quicproquo_client::Session`]; here are only HTTP, tokens and views of the event log.

mod auth;
mod bots;
mod config;
mod error;
mod events;
mod extract;
mod guard;
mod idempotency;
mod model;
mod openapi;
mod problem;
mod random;
mod reply;
mod router;
mod routes;
mod server;
mod state;
mod store;

pub use config::GatewayConfig;
pub use error::GatewayError;
pub use openapi::openapi_json;
pub use server::Gateway;
pub use state::ReadySwitch;
