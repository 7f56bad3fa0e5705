//! `send` on the WebSocket: the same as `POST /v1/groups/{group_id}/messages`.

use std::sync::Arc;

use http::StatusCode;
use quicproquo_client::{GroupId, Idempotency, Message, Options, Outcome};

use super::super::frames::{Outgoing, Send};
use crate::auth::{Bot, Scope};
use crate::extract::parse_json;
use crate::idempotency::fingerprint;
use crate::model::{NewMessage, SendWait};
use crate::problem::{Kind, Problem};
use crate::{occasion, random};

const MAX_KEY: usize = 255;

/// Sends a message, if it may be sent; the answer is the `result` frame.
pub(super) async fn send(
    bot: Bot,
    send: Send,
    may: Result<(), Problem>,
    session: Arc<str>,
) -> Outgoing {
    let (id, request) = (send.id.clone(), random::uuid());
    let sending = async {
        may?;
        try_send(&bot, send).await
    };
    match occasion::traced("websocket send", &request, Some(&session), sending).await {
        Ok(outcome) => Outgoing::Result {
            id,
            status: StatusCode::CREATED.as_u16(),
            replayed: outcome.replayed.then_some(true),
            message: Some(Box::new(outcome.value.into())),
            problem: None,
        },
        Err(problem) => Outgoing::refused(id, problem, occasion::instance(&request)),
    }
}

async fn try_send(bot: &Bot, send: Send) -> Result<Outcome<Message>, Problem> {
    let group: GroupId = send.group_id.parse().map_err(|_| Problem::new(Kind::GroupNotFound))?;
    bot.need_in(Scope::MessagesSend, &group)?;
    let body = send.message.to_string();
    let message = parse_json::<NewMessage>(body.as_bytes())?;
    let verified_only = message.verified_only();
    let message = message.parse()?;
    let path = format!("/v1/groups/{group}/messages");
    let idempotency = match send.idempotency_key {
        Some(key) if (1..=MAX_KEY).contains(&key.len()) => {
            Some(Idempotency { key, fingerprint: fingerprint("POST", &path, body.as_bytes()) })
        }
        Some(_) => {
            return Err(Problem::field("/idempotency_key", format!("1 to {MAX_KEY} bytes")));
        }
        None => None,
    };
    let wait = SendWait::of(send.wait).duration()?;
    let options = Options { idempotency, wait, if_epoch: send.if_epoch, verified_only };
    Ok(bot.session.send(group, message, options).await?)
}
