//! `/v1/identities`.

use crate::auth::Bot;
use crate::extract::Segment;
use crate::model::{IdentityDto, Target};
use crate::openapi::Denied;
use crate::problem::{Kind, Problem};
use crate::reply::Reply;

/// Find an identity by its key or its name.
///
/// A name is asked for at the node, verified, and pinned on first use.
#[utoipa::path(
    get, path = "/v1/identities/{identity}", tag = "identities",
    params(("identity" = String, Path, description = "An identity or a name.")),
    responses((status = 200, body = IdentityDto, description = "The identity."), Denied),
    security(("bot_token" = []))
)]
pub(crate) async fn get_identity(
    bot: Bot,
    Segment(text): Segment<String>,
) -> Result<Reply<IdentityDto>, Problem> {
    let target = Target::parse(&text)
        .ok_or(Problem::new(Kind::NotFound).detail("neither an identity nor a name"))?;
    let (identity, name) = match target {
        Target::Key(key) => (key, bot.session.name_of(&key).await?),
        Target::Name(name) => (bot.session.resolve(&name).await?, Some(name)),
    };
    Ok(Reply::ok(IdentityDto::new(&identity, name)))
}
