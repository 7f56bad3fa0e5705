//! The quicproquo gateway: REST and WebSocket for bots in any language.
//!
//! [`Gateway::bind`] opens the gateway's own database and its listener, [`Gateway::serve`] answers
//! until it is told to stop. Everything cryptographic happens behind
//! [`quicproquo_client::Session`]; here are only HTTP, tokens and views of the event log.

mod asyncapi;
mod audit;
mod auth;
mod bots;
mod config;
pub mod door;
mod error;
mod events;
mod extract;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod idempotency;
mod matrix;
mod metrics;
mod model;
mod occasion;
mod openapi;
mod problem;
mod random;
mod rates;
mod reply;
mod router;
mod routes;
mod server;
mod state;
mod store;
mod webhooks;

pub use asyncapi::asyncapi_json;
pub use config::{Access, GatewayConfig, MatrixConfig, Rate};
pub use door::tls::{CertificateError, CertificateFiles, CertificateReload};
pub use error::GatewayError;
pub use metrics::metrics_example;
pub use openapi::openapi_json;
pub use server::{Gateway, Readiness};
pub use state::ReadySwitch;
pub use webhooks::WebhookTargets;
