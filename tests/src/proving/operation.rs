//! What members ask their sessions for. Each has an idempotency key, so that a crash before the
//! answer leaves no doubt.

use quicproquo_client::{
    ContextChange, GroupId, Idempotency, IdentityKey, NewGroup, Options, Outgoing, Profile, Role,
    SessionError, Suite,
};

use super::world::World;

/// Something asked for.
#[derive(Debug)]
pub struct Operation {
    /// The member who asks.
    pub member: usize,
    /// For what.
    pub kind: Kind,
    /// Where.
    pub group: Option<GroupId>,
    /// The epoch of the group when it was asked for.
    pub epoch: u64,
    /// The answer; none yet when a crash has swallowed it.
    pub answer: Option<Result<(), SessionError>>,
    /// An old copy of its member's database knows nothing of it.
    pub forgotten: bool,
}

/// What may be asked for.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A new group with these.
    Create(Vec<IdentityKey>, Suite),
    /// To say what names the operation.
    Send,
    /// To add these.
    Invite(Vec<IdentityKey>),
    /// To remove them.
    Remove(Vec<IdentityKey>),
    /// Another name for the group.
    Rename,
    /// Another role for a member.
    Promote(IdentityKey, Role),
    /// New keys.
    Update,
    /// To go.
    Leave,
    /// To come, where it was invited.
    Accept,
    /// Not to come.
    Decline,
}

impl Operation {
    /// The text of a message, which names the operation.
    pub fn text(number: usize) -> String {
        format!("m{number}")
    }

    /// The way back.
    pub fn number(text: &str) -> Option<usize> {
        text.strip_prefix('m').and_then(|number| number.parse().ok())
    }
}

impl World {
    /// A member asks for something and is answered, or dies.
    pub async fn ask(&mut self, member: usize, group: Option<GroupId>, kind: Kind) -> usize {
        let number = self.operations.len();
        let epoch = match &group {
            Some(group) => self.epoch(member, group).await.unwrap_or_default(),
            None => 0,
        };
        let (answer, forgotten) = (None, false);
        self.operations.push(Operation { member, kind, group, epoch, answer, forgotten });
        self.members[member].unanswered.push_back(number);
        self.ask_again(member).await;
        self.quiet().await;
        number
    }

    /// Instead of asking again for what has got no answer, a member asks for it anew.
    pub async fn ask_anew(&mut self, member: usize) {
        let Some(number) = self.members[member].unanswered.pop_front() else { return };
        let Operation { kind, group, .. } = &self.operations[number];
        let (kind, group) = (kind.clone(), group.clone());
        self.ask(member, group, kind).await;
    }

    /// Asks for an operation, again or for the first time. `false`: the process died before the
    /// answer, or its disk failed.
    pub async fn attempt(&mut self, number: usize) -> bool {
        let Operation { member, kind, group, .. } = &self.operations[number];
        let (member, kind, group) = (*member, kind.clone(), group.clone());
        let Some((_, session)) = &self.members[member].running else { return false };
        let session = session.clone();
        let key = format!("operation {number}");
        let idempotency = Some(Idempotency { key, fingerprint: [0; 32] });
        let options = Options { idempotency, ..Options::default() };
        let id = group.clone().unwrap_or_else(GroupId::random);
        let said = self.said(number);
        let result = match kind {
            Kind::Create(members, suite) => {
                let new = NewGroup {
                    name: format!("room {number}"),
                    topic: String::new(),
                    members,
                    suite,
                    profile: Profile::Standard,
                };
                let made = session.create_group(new, options).await;
                if let Ok(made) = &made
                    && self.operations[number].group.is_none()
                {
                    let group = made.value.group.id.clone();
                    self.groups.push(group.clone());
                    self.operations[number].group = Some(group);
                }
                made.map(drop)
            }
            Kind::Send => {
                let body = serde_json::json!({ "body": Operation::text(number) });
                let message = Outgoing { kind: "text".into(), body, relates_to: None };
                session.send(id, message, options).await.map(drop)
            }
            Kind::Invite(members) => session.invite(id, members, options).await.map(drop),
            Kind::Remove(members) => session.remove(id, members, options).await.map(drop),
            Kind::Rename => {
                let name = Some(format!("name {number}"));
                let change = ContextChange { name, ..ContextChange::default() };
                session.change_context(id, change, options).await.map(drop)
            }
            Kind::Promote(member, role) => {
                let roles = vec![(member, role)];
                let change = ContextChange { roles, ..ContextChange::default() };
                session.change_context(id, change, options).await.map(drop)
            }
            Kind::Update => session.update_keys(id, options).await.map(drop),
            Kind::Leave => session.leave(id, options).await.map(drop),
            // Both are safe to repeat as they are.
            Kind::Accept => session.accept(id).await.map(drop),
            Kind::Decline => session.decline(id).await,
        };
        if result == Err(SessionError::Stopped) {
            self.tell(&format!("{said}, and gets no answer"));
            self.quiet().await;
            if self.members[member].running.is_some() {
                self.fault(format!("{said}: a session that lives says it is stopped"));
                return true;
            }
            return false;
        }
        if result == Err(SessionError::StorageUnavailable) {
            self.tell(&format!("{said}, and the disk fails"));
            self.quiet().await;
            return false;
        }
        match &result {
            Ok(()) => self.tell(&said),
            Err(error) => self.tell(&format!("{said}: refused, {error}")),
        }
        if let Err(error) = &result
            && !is_allowed(error)
        {
            self.fault(format!("{said}: {error}"));
        }
        self.operations[number].answer = Some(result);
        true
    }

    fn said(&self, number: usize) -> String {
        let Operation { member, kind, group, .. } = &self.operations[number];
        let names = |keys: &[IdentityKey]| {
            keys.iter().map(|key| self.name(key)).collect::<Vec<_>>().join(", ")
        };
        let what = match kind {
            Kind::Create(members, suite) => {
                return format!(
                    "{} makes a room ({suite:?}) with {}",
                    self.members[*member].name,
                    names(members)
                );
            }
            Kind::Send => format!("says {}", Operation::text(number)),
            Kind::Invite(members) => format!("invites {}", names(members)),
            Kind::Remove(members) => format!("removes {}", names(members)),
            Kind::Rename => "renames it".into(),
            Kind::Promote(key, Role::Admin) => format!("makes {} an admin", self.name(key)),
            Kind::Promote(key, Role::Member) => format!("makes {} a member", self.name(key)),
            Kind::Update => "renews its keys".into(),
            Kind::Leave => "leaves".into(),
            Kind::Accept => "accepts".into(),
            Kind::Decline => "declines".into(),
        };
        let room = group.as_ref().map_or_else(String::new, |group| self.room(group));
        format!("{} {what} in {room}", self.members[*member].name)
    }
}

/// Answers that a race may lead to.
fn is_allowed(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::GroupNotFound
            | SessionError::GroupInactive
            | SessionError::NotAdmin
            | SessionError::LastAdmin
            | SessionError::NotAMember(_)
            | SessionError::AlreadyMember(_)
            | SessionError::NoKeyPackage(_)
            | SessionError::InvitationNotFound
    )
}
