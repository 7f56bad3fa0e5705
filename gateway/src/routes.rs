//! The handlers, one file per resource: extract, ask the engine, answer.

pub(crate) mod archives;
pub(crate) mod attachments;
pub(crate) mod bots;
pub(crate) mod console;
pub(crate) mod consumers;
pub(crate) mod docs;
pub(crate) mod events;
pub(crate) mod groups;
pub(crate) mod health;
pub(crate) mod identities;
pub(crate) mod invitations;
pub(crate) mod markers;
pub(crate) mod me;
pub(crate) mod members;
pub(crate) mod messages;
pub(crate) mod pages;
pub(crate) mod problems;
pub(crate) mod reactions;
pub(crate) mod tokens;
pub(crate) mod webhooks;
