//! What the task of a session reacts to.

use quicproquo_core::group::RepairRequest;
use quicproquo_core::id::GroupId;
use quicproquo_core::identity::IdentityKey;
use quicproquo_core::key_package::GenerateError;
use quicproquo_core::suite::Suite;

use super::Reply;
use super::command::Asked;
use super::key_packages::Made;
use crate::rpc::{LinkEvent, RpcError, Sent, Stock};

type Resolved = Option<(IdentityKey, Vec<u8>)>;

/// One input.
pub(super) enum Input {
    Command(Asked),
    Link(LinkEvent),
    /// The node answered a send.
    Sent {
        counter: u64,
        link: u64,
        result: Result<Sent, RpcError>,
    },
    /// The node said what became of a send.
    SendResult {
        counter: u64,
        link: u64,
        result: Result<Option<Sent>, RpcError>,
    },
    /// Whether rows wait beyond what we have.
    Drained {
        link: u64,
        result: Result<bool, RpcError>,
    },
    /// The backlog has held up the outbox long enough.
    DrainedLongEnough {
        link: u64,
    },
    /// Key packages for an intent.
    Claimed {
        intent: u64,
        asked: Vec<IdentityKey>,
        result: Result<Vec<Option<Vec<u8>>>, RpcError>,
    },
    /// The stock of key packages, after publishing or when asked.
    Stock {
        /// The packages of this suite were replaced.
        replaced: Option<Suite>,
        result: Result<Vec<Stock>, RpcError>,
    },
    /// Key packages were made.
    Made(Result<Made, GenerateError>),
    /// The thread that made key packages failed.
    MakingFailed(String),
    /// The answer to a claim of a name.
    NameClaimed {
        name: String,
        reply: Reply<()>,
        result: Result<(), RpcError>,
    },
    /// The key behind a name, for a caller or for a member we want to know.
    NameResolved {
        name: String,
        reply: Option<Reply<IdentityKey>>,
        result: Result<Resolved, RpcError>,
    },
    /// The names of a member.
    Names {
        identity: IdentityKey,
        result: Result<Vec<String>, RpcError>,
    },
    /// The key that a member has published; empty: none.
    HybridKey {
        identity: IdentityKey,
        result: Result<Vec<u8>, RpcError>,
    },
    /// A caller has waited long enough.
    IntentWaited(u64),
    /// A caller has waited long enough for the message at this position.
    SendWaited(u64),
    /// A name claim has waited long enough for the link.
    NameWaited(String),
    /// Nobody else committed a proposal yet.
    CommitProposals {
        group: GroupId,
        epoch: u64,
    },
    /// Rows that messages wait for have not come.
    RowsLate,
    /// Whether rows are there that messages wait for, up to this one.
    NoRows {
        up_to: u64,
        link: u64,
        result: Result<bool, RpcError>,
    },
    /// Replace our keys in a group, if they are old.
    UpdateKeys(GroupId),
    /// Ask again whether rows wait.
    AskDrained,
    /// The node has taken an acknowledgement.
    Acked {
        link: u64,
        up_to: u64,
        result: Result<(), RpcError>,
    },
    /// What has come may be acknowledged.
    AckDue {
        link: u64,
    },
    /// An acknowledgement failed: again.
    AckAgain {
        link: u64,
    },
    /// The pause of a send is over.
    Unpause {
        counter: u64,
        link: u64,
    },
    /// Try again what a group could not do.
    Wake(GroupId),
    /// A leave has waited for what was accepted before it.
    LastWords {
        group: GroupId,
        due_ms: u64,
        link: u64,
    },
    /// Set aside rows that do not read.
    Damaged,
    /// Try to take up an isolated group.
    RetryIsolated {
        group: GroupId,
        retries: u32,
    },
    /// The commit to a later epoch has not come.
    CommitLate {
        group: GroupId,
        epoch: u64,
    },
    /// A suspicion has held up a group long enough.
    HeldLongEnough(GroupId),
    /// Ask to be added to a group again.
    AskReadd(GroupId),
    /// Nobody else added a member again yet.
    Readd {
        request: Box<RepairRequest>,
    },
    /// Show a member that asked where the group is, unless it has heard of it since.
    ShowEpoch {
        group: GroupId,
        member: IdentityKey,
        heard: u64,
    },
    /// Tell a former member that it is none.
    TellRemoved {
        group: GroupId,
        member: IdentityKey,
        asked: Option<[u8; 8]>,
        tries: u32,
    },
    /// A group has gone on with us though we are out.
    StillOut {
        group: GroupId,
        /// For which time it was set.
        due_ms: u64,
        tries: u32,
    },
    /// Ask, after a gap, where groups are.
    Inquire,
    /// The task of the link has ended.
    LinkOver,
    /// Open another link.
    OpenLink,
    /// Forget what is old.
    Sweep,
    /// Go on deleting old history.
    Forget,
    /// Nothing to do.
    Nothing,
    Stop,
}
