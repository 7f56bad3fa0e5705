//! `/v1/me`.

use crate::auth::Bot;
use crate::model::Me;
use crate::openapi::Denied;
use crate::reply::Reply;

/// Show the calling bot and what its token permits.
#[utoipa::path(
    get, path = "/v1/me", tag = "me",
    responses((status = 200, body = Me, description = "The caller."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn get_me(bot: Bot) -> Reply<Me> {
    Reply::ok(Me::new(&bot))
}
