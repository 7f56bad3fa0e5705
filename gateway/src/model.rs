//! What goes over the wire: request and answer bodies, and their way from and to the engine's
//! types. Nothing of these types travels further inward.

mod archive;
mod attachment;
mod bot;
mod change;
mod content;
mod event;
mod group;
mod group_health;
mod identity;
mod invitation;
mod list;
mod message;
mod query;
mod stream;
mod time;
mod token;
mod webhook;

pub(crate) use archive::{BotExport, NewExport, NewImport};
pub(crate) use attachment::{AttachmentDto, UploadParams};
pub(crate) use bot::{
    BotChange, BotCreated, BotDto, ConsumerLag, Me, NewBot, WantedBot, WebhookHealth,
};
pub(crate) use bot::{is_name, post_quantum};
pub(crate) use change::{MessageEdit, NewReaction, ReadMarker, Typing};
pub(crate) use change::{deletion, reaction_taken_back};
pub(crate) use content::{FileContent, ReactionContent, TextContent, TypingContent};
pub(crate) use event::EventDto;
pub(crate) use group::{ChangeDto, GroupChange, GroupDto, NewGroupDto, ciphersuite};
pub(crate) use group::{MemberChange, MemberDto, NewMembers};
pub(crate) use group_health::GroupHealthDto;
pub(crate) use identity::{IdentityDto, KnownIdentityDto, Verification};
pub(crate) use identity::{resolve, resolve_new, resolve_one};
pub(crate) use invitation::InvitationDto;
pub(crate) use list::{List, PageParams};
pub(crate) use message::{MessageDto, NewMessage, is_kind};
pub(crate) use query::{HistoryParams, SendWait, Wait};
pub(crate) use stream::{Ack, ConsumerDto, ConsumerParams, ConsumerPosition, Extend, Extended};
pub(crate) use stream::{ParkedDto, ParkedParams, PollParams, StreamParams};
pub(crate) use stream::{TicketDto, Wanted, lease_of};
pub(crate) use time::{parse_time, rfc3339};
pub(crate) use token::{NewToken, TokenCreated, TokenDto};
pub(crate) use webhook::{
    DeliveryParams, NewWebhook, Replay, Replayed, WebhookChange, WebhookPayload,
};
pub(crate) use webhook::{WebhookCreated, WebhookDeliveryDto, WebhookDto};
pub(crate) use webhook::{check_description, join_groups, join_types};
