//! What a [`super::Session`] asks of the task that owns its state.

use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use tracing::Span;

use super::Reply;
use crate::error::SessionError;
use crate::model::{
    Change, ContextChange, GroupInfo, InvitePolicy, KnownIdentity, Message, NewGroup, Options,
    Outcome, Outgoing,
};
use crate::rpc::Request;
use crate::store::Exported;

/// A call on a session, and the span that it belongs to.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) command: Command,
    pub(crate) by: Span,
}

impl From<Command> for Asked {
    /// On behalf of the current span.
    fn from(command: Command) -> Self {
        Self { command, by: Span::current() }
    }
}

/// One call on a session.
#[derive(Debug)]
pub(crate) enum Command {
    ClaimName {
        name: String,
        reply: Reply<()>,
    },
    Resolve {
        name: String,
        reply: Reply<IdentityKey>,
    },
    Verify {
        identity: IdentityKey,
        verified: bool,
        /// The safety number as a person sees it.
        shown: Option<String>,
        reply: Reply<KnownIdentity>,
    },
    CreateGroup {
        new: NewGroup,
        options: Options,
        reply: Reply<Outcome<Change>>,
    },
    Invite {
        group: GroupId,
        members: Vec<IdentityKey>,
        options: Options,
        reply: Reply<Outcome<Change>>,
    },
    Remove {
        group: GroupId,
        members: Vec<IdentityKey>,
        options: Options,
        reply: Reply<Outcome<Change>>,
    },
    ChangeContext {
        group: GroupId,
        change: ContextChange,
        options: Options,
        reply: Reply<Outcome<Change>>,
    },
    UpdateKeys {
        group: GroupId,
        options: Options,
        reply: Reply<Outcome<Change>>,
    },
    Leave {
        group: GroupId,
        options: Options,
        reply: Reply<Outcome<Change>>,
    },
    Send {
        group: GroupId,
        message: Outgoing,
        options: Options,
        reply: Reply<Outcome<Message>>,
    },
    Accept {
        invitation: GroupId,
        reply: Reply<GroupInfo>,
    },
    Decline {
        invitation: GroupId,
        reply: Reply<()>,
    },
    SetInvitePolicy {
        policy: InvitePolicy,
        reply: Reply<()>,
    },
    Export {
        reply: Reply<Exported>,
    },
    Resume {
        reply: Reply<()>,
    },
    /// A request to the node that does not touch the session's state.
    Direct(Request),
    Stop,
}

impl Command {
    /// Answers that it cannot be done.
    pub(super) fn refuse(self, error: SessionError) {
        match self {
            Self::ClaimName { reply, .. }
            | Self::Decline { reply, .. }
            | Self::Resume { reply }
            | Self::SetInvitePolicy { reply, .. } => drop(reply.send(Err(error))),
            Self::Resolve { reply, .. } => drop(reply.send(Err(error))),
            Self::Export { reply } => drop(reply.send(Err(error))),
            Self::Verify { reply, .. } => drop(reply.send(Err(error))),
            Self::CreateGroup { reply, .. }
            | Self::Invite { reply, .. }
            | Self::Remove { reply, .. }
            | Self::ChangeContext { reply, .. }
            | Self::UpdateKeys { reply, .. }
            | Self::Leave { reply, .. } => drop(reply.send(Err(error))),
            Self::Send { reply, .. } => drop(reply.send(Err(error))),
            Self::Accept { reply, .. } => drop(reply.send(Err(error))),
            // Its caller learns that the link is gone.
            Self::Direct(request) => drop(request),
            Self::Stop => {}
        }
    }
}
