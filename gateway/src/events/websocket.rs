//! The WebSocket's door: who may come in, and how the connection is set up.

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;

use super::filter::Filter;
use super::stream::Stream;
use crate::auth::{Bot, Scope, WEBSOCKET_PROTOCOL};
use crate::door::ConnectionPermit;
use crate::model::StreamParams;
use crate::problem::Problem;
use crate::state::AppState;

/// The default of 128 KiB would be allocated for each connection.
const BUFFER: usize = 4096;
/// Incoming messages, in bytes. The limit that is told is smaller: see [`super::stream`].
const MAX_MESSAGE: usize = 2 * 1024 * 1024;

/// Opens a stream of events.
///
/// # Errors
/// `ScopeMissing`, `GroupNotAllowed`, `CursorInvalid`, `RequestInvalid`, `StorageUnavailable`.
pub(crate) async fn upgrade(
    state: AppState,
    bot: Bot,
    params: StreamParams,
    permit: Option<ConnectionPermit>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    bot.need(Scope::MessagesRead)?;
    let filter = Filter::parse(params.types.as_deref(), params.groups.as_deref(), &bot.grant)?;
    let after = params.after()?;
    let start = after.unwrap_or(*bot.session.tail().borrow());
    let lease = match &params.consumer {
        Some(name) => Some(state.consumers.open(&bot.record.bot_id, name, start).await?),
        None => None,
    };
    let task = state.tasks.token();
    let stream = Stream::new(state, bot, filter, start, params.consumer.zip(lease));
    Ok(upgrade
        .protocols([WEBSOCKET_PROTOCOL])
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(MAX_MESSAGE)
        .max_frame_size(MAX_MESSAGE)
        .on_upgrade(async move |socket| {
            stream.run(socket).await;
            drop((permit, task));
        }))
}
