//! Requests to the node that do not touch the session's state.

use std::time::Duration;

use quicproquo_schemas::code::ErrorCode;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::Session;
use super::command::Command;
use crate::error::SessionError;
use crate::model::LinkState;
use crate::rpc::{Answer, Request, RpcError};

/// How long a deletion waits for the node.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pause between tries while the link is down.
const AGAIN: Duration = Duration::from_millis(100);

impl From<RpcError> for SessionError {
    fn from(error: RpcError) -> Self {
        match error {
            RpcError::Unavailable(_) => Self::NodeUnreachable,
            RpcError::Coded { text, .. } => Self::NodeRefused(text),
        }
    }
}

impl Session {
    /// Hands a request to the link. While there is none the answer is `Unavailable`.
    pub(super) async fn ask_node<T>(
        &self,
        make: impl FnOnce(Answer<T>) -> Request,
    ) -> Result<T, RpcError> {
        let gone = || RpcError::Unavailable("the session is stopped".into());
        let (answer, answered) = oneshot::channel();
        let command = Command::Direct(make(answer));
        self.commands.send(command.into()).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Deletes the identity at the node, unless the node knows nothing of it or another instance
    /// has it.
    ///
    /// # Errors
    /// `NodeUnreachable` after 5 s without a link, `NodeRefused`.
    pub(crate) async fn delete_at_node(&self) -> Result<(), SessionError> {
        let tries = async {
            loop {
                let link = self.health().link;
                if matches!(link, LinkState::Refused(_)) || link.is_halted() {
                    return Ok(());
                }
                match self.ask_node(|answer| Request::DeleteIdentity { answer }).await {
                    // The node has just said why on the link itself, or it is gone already.
                    Ok(())
                    | Err(RpcError::Coded {
                        code:
                            ErrorCode::Displaced
                            | ErrorCode::Banned
                            | ErrorCode::Fenced
                            | ErrorCode::Unauthenticated,
                        ..
                    }) => return Ok(()),
                    Err(RpcError::Unavailable(_)) => sleep(AGAIN).await,
                    Err(error) => return Err(error.into()),
                }
            }
        };
        timeout(PATIENCE, tries).await.unwrap_or(Err(SessionError::NodeUnreachable))
    }
}
