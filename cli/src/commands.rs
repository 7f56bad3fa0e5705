//! One file per command.

pub(crate) mod bench;
pub(crate) mod bot;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod demo;
pub(crate) mod download;
pub(crate) mod gateway;
pub(crate) mod group;
pub(crate) mod health;
pub(crate) mod identity;
pub(crate) mod invitation;
pub(crate) mod listen;
pub(crate) mod node;
pub(crate) mod openapi;
pub(crate) mod reference;
pub(crate) mod send;
pub(crate) mod up;
