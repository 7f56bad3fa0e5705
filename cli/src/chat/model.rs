//! What the client knows and shows. Only `update` changes it, only `view` shows it.

use std::collections::HashMap;
use std::path::PathBuf;

use jiff::tz::TimeZone;
use quicproquo_client::{
    GroupId, GroupInfo, IdentityKey, Invitation, KnownIdentity, LinkState, MemberInfo, Message,
    MessageId, Outgoing,
};

use super::input::Input;

/// Messages of a group that are loaded at first, and more each time.
pub(super) const PAGE: usize = 100;

/// How many lines can be scrolled.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    /// Of the conversation, up.
    pub(super) talk: usize,
    /// Of what is over it, down.
    pub(super) overlay: usize,
}

/// Everything.
#[derive(Debug)]
pub(super) struct Model {
    /// Who we are; nobody before the first name is claimed.
    pub(super) me: Option<Me>,
    /// A name is on its way to the node.
    pub(super) naming: bool,
    pub(super) link: LinkState,
    pub(super) rooms: Vec<Room>,
    pub(super) selected: Option<GroupId>,
    pub(super) talks: HashMap<GroupId, Talk>,
    /// What those are called who are writing.
    pub(super) writers: HashMap<GroupId, Vec<String>>,
    pub(super) input: Input,
    /// The message that commands are about.
    pub(super) marked: Option<Marked>,
    /// Lines that the conversation is scrolled up.
    pub(super) scroll: usize,
    /// Lines of the overlay that are above its frame.
    pub(super) overlay_scroll: usize,
    /// Most that these can be; the view says so.
    pub(super) reach: Reach,
    pub(super) notice: Option<Notice>,
    pub(super) overlay: Option<Overlay>,
    /// Where times are shown.
    pub(super) zone: TimeZone,
    pub(super) quit: bool,
}

/// The person who sits here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Me {
    pub(super) identity: IdentityKey,
    pub(super) name: String,
}

/// A line of the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Room {
    pub(super) id: GroupId,
    pub(super) name: String,
    pub(super) kind: RoomKind,
    /// Messages of others that were not shown yet.
    pub(super) unread: usize,
}

/// What is behind a line of the list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RoomKind {
    Group(GroupInfo),
    Invitation(Invitation),
}

/// A conversation, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Talk {
    pub(super) messages: Vec<Message>,
    /// Who has read up to which message.
    pub(super) readers: Readers,
    /// There are older ones.
    pub(super) more: bool,
    /// So many are wanted.
    pub(super) wanted: usize,
}

/// What those are called who have read up to a message, and no further.
pub(super) type Readers = HashMap<MessageId, Vec<String>>;

/// A message, which needs its sender to be unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marked {
    pub(super) id: MessageId,
    pub(super) sender: IdentityKey,
}

/// A line at the bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) bad: bool,
}

/// What lies over the conversation.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Overlay {
    Help,
    Members(GroupId),
    Known(KnownIdentity, String),
}

/// What happens.
#[derive(Debug)]
pub(super) enum Event {
    Key(crossterm::event::KeyEvent),
    Paste(String),
    /// The name is ours.
    Named(Me),
    NameRefused(String),
    Link(LinkState),
    Rooms(Vec<Room>),
    Talk {
        group: GroupId,
        messages: Vec<Message>,
        readers: Readers,
        more: bool,
    },
    /// What those are called who are writing in a group.
    Writers(GroupId, Vec<String>),
    /// An identity and its safety number.
    Known(KnownIdentity, String),
    /// A group to look at.
    Go(GroupId),
    Done(String),
    Failed(String),
}

/// What to do.
#[derive(Debug, PartialEq)]
pub(super) enum Effect {
    Register(String),
    /// Load so many messages of a group.
    Load(GroupId, usize),
    Send(GroupId, Outgoing),
    Upload {
        group: GroupId,
        path: PathBuf,
        caption: Option<String>,
    },
    Save {
        attachment: String,
        name: String,
        to: Option<PathBuf>,
    },
    Create {
        name: String,
        members: Vec<String>,
    },
    Invite(GroupId, Vec<String>),
    Remove(GroupId, String),
    Leave(GroupId),
    Rename(GroupId, String),
    Accept(GroupId),
    Decline(GroupId),
    Look(String),
    Verify {
        who: String,
        number: Option<String>,
    },
    Unverify(String),
    /// Everything up to this moment (unix milliseconds) was shown; the newest message of others.
    Read(GroupId, u64, Option<MessageId>),
    /// Something is being typed for a group, or not any more.
    Writing(GroupId, bool),
}

impl Model {
    /// Nothing known yet, but perhaps who we are.
    pub(super) fn new(me: Option<Me>, zone: TimeZone) -> Self {
        Self {
            me,
            naming: false,
            link: LinkState::Connecting,
            rooms: Vec::new(),
            selected: None,
            talks: HashMap::new(),
            writers: HashMap::new(),
            input: Input::default(),
            marked: None,
            scroll: 0,
            overlay_scroll: 0,
            reach: Reach::default(),
            notice: None,
            overlay: None,
            zone,
            quit: false,
        }
    }

    /// The line of the list that is selected.
    pub(super) fn room(&self) -> Option<&Room> {
        let selected = self.selected.as_ref()?;
        self.rooms.iter().find(|room| room.id == *selected)
    }

    /// The selected group, if it is one.
    pub(super) fn group(&self) -> Option<&GroupInfo> {
        match &self.room()?.kind {
            RoomKind::Group(group) => Some(group),
            RoomKind::Invitation(_) => None,
        }
    }

    /// The messages of the selected group.
    pub(super) fn messages(&self) -> &[Message] {
        let talk = self.selected.as_ref().and_then(|group| self.talks.get(group));
        talk.map_or(&[], |talk| &talk.messages)
    }

    /// What those are called who are writing in the selected group.
    pub(super) fn writing(&self) -> &[String] {
        let writers = self.selected.as_ref().and_then(|group| self.writers.get(group));
        writers.map_or(&[], Vec::as_slice)
    }

    /// What those are called who have read up to a message of the selected group.
    pub(super) fn readers(&self, message: &MessageId) -> &[String] {
        let talk = self.selected.as_ref().and_then(|group| self.talks.get(group));
        talk.and_then(|talk| talk.readers.get(message)).map_or(&[], Vec::as_slice)
    }

    /// Whether somebody is us.
    pub(super) fn is_me(&self, identity: &IdentityKey) -> bool {
        self.me.as_ref().is_some_and(|me| me.identity == *identity)
    }

    /// The message that a command is about: the marked one, or the newest that fits.
    pub(super) fn target(&self, fits: impl Fn(&Message) -> bool) -> Option<&Message> {
        let is_marked = |message: &&Message| {
            self.marked.is_some_and(|m| m.id == message.id && m.sender == message.sender)
        };
        match self.messages().iter().find(is_marked) {
            Some(message) => fits(message).then_some(message),
            None => self.messages().iter().rev().find(|message| fits(message)),
        }
    }
}

/// What a member is called.
pub(super) fn called(member: &MemberInfo) -> String {
    member.name.clone().unwrap_or_else(|| short(&member.identity))
}

/// The beginning of an identity that has no name.
pub(super) fn short(identity: &IdentityKey) -> String {
    identity.to_string().chars().take(8).collect()
}
