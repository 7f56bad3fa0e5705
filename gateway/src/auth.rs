//! Who calls: the admin, or a bot by one of its tokens.

mod admin_file;
mod caller;
mod changes;
mod scope;
mod token;
mod tokens;

pub(crate) use admin_file::load_or_create;
pub(crate) use caller::{Admin, Bot, WEBSOCKET_PROTOCOL, WEBSOCKET_TOKEN, presented, still_valid};
pub(crate) use scope::Scope;
pub(crate) use token::{Token, TokenHash};
pub(crate) use tokens::{Grant, Login, Tokens};
