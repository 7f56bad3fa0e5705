//! One file per command.

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod gateway;
pub(crate) mod health;
pub(crate) mod identity;
pub(crate) mod node;
pub(crate) mod openapi;
pub(crate) mod up;
