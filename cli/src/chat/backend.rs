//! Does what is to be done, with the session.

mod files;
mod notices;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quicproquo_client::{
    ChangeState, Client, ContextChange, GroupId, GroupState, HistoryQuery, IdentityKey, Message,
    NewGroup, Options, Outcome, Profile, Session, SessionError, Suite,
};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::model::{Effect, Event, Me, Room, RoomKind};
use super::presence::Told;
use super::state::State;

/// How long to wait for a change of a group to win.
const WAIT: Duration = Duration::from_secs(10);
/// Most of a page of history.
const PAGE: u32 = 200;

/// What effects need. Clones share it.
#[derive(Clone)]
pub(super) struct Backend {
    pub(super) client: Client,
    pub(super) state: Arc<State>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) tasks: TaskTracker,
    /// What others were told of what is being typed.
    pub(super) told: Arc<Mutex<Told>>,
    /// Nobody is told what the person types and reads.
    pub(super) discreet: bool,
}

impl Backend {
    /// Who sits here, if that is known; a session without a name has none yet.
    pub(super) fn me(&self) -> Option<Me> {
        let identity = self.client.sessions().first()?.identity();
        Some(Me { identity, name: self.state.name()? })
    }

    /// Does one thing after the other, in the order of typing; what may take long goes aside.
    pub(super) async fn run(self, mut effects: mpsc::UnboundedReceiver<Effect>) {
        if self.me().is_some() {
            self.follow();
        }
        while let Some(effect) = effects.recv().await {
            let quick = matches!(
                effect,
                Effect::Register(_)
                    | Effect::Load(..)
                    | Effect::Send(..)
                    | Effect::Read(..)
                    | Effect::Writing(..)
            );
            let backend = self.clone();
            let work = async move {
                if let Err(reason) = backend.perform(effect).await {
                    backend.tell(Event::Failed(reason)).await;
                }
            };
            if quick {
                work.await;
            } else {
                self.tasks.spawn(work);
            }
        }
    }

    /// Tells the screen; one that is gone needs nothing.
    pub(super) async fn tell(&self, event: Event) {
        let _ = self.events.send(event).await;
    }

    pub(super) fn session(&self) -> Result<Session, String> {
        self.client.sessions().first().cloned().ok_or_else(|| "there is no session".to_owned())
    }

    async fn perform(&self, effect: Effect) -> Result<(), String> {
        if let Effect::Register(name) = effect {
            return self.register(name).await;
        }
        let session = self.session()?;
        let options = || Options { wait: WAIT, ..Options::default() };
        match effect {
            Effect::Register(_) => {}
            Effect::Load(group, wanted) => return self.load(&session, group, wanted).await,
            Effect::Read(group, up_to, newest) => {
                self.state.set_read(&group, up_to).map_err(|error| error.to_string())?;
                return self.mark(&session, group, newest).await;
            }
            Effect::Writing(group, active) => return self.writing(&session, group, active).await,
            Effect::Send(group, message) => {
                self.told().sent(&group);
                session.send(group, message, Options::default()).await.map_err(said)?;
            }
            Effect::Upload { group, path, caption } => {
                self.upload(&session, group, &path, caption).await?;
            }
            Effect::Save { attachment, name, to } => {
                self.save(&session, &attachment, &name, to.as_deref()).await?;
            }
            Effect::Create { name, members } => {
                let members = self.people(&session, &members).await?;
                let (suite, profile) = (Suite::Envelope, Profile::Standard);
                let new = NewGroup { name, topic: String::new(), members, suite, profile };
                let made = session.create_group(new, options()).await.map_err(said)?;
                self.rooms(&session).await?;
                self.tell(Event::Go(made.value.group.id)).await;
            }
            Effect::Invite(group, who) => {
                let who = self.people(&session, &who).await?;
                self.changed(session.invite(group, who, options()).await, "Invited.").await?;
            }
            Effect::Remove(group, who) => {
                let who = vec![self.person(&session, &who).await?];
                self.changed(session.remove(group, who, options()).await, "Removed.").await?;
            }
            Effect::Leave(group) => {
                self.changed(session.leave(group, options()).await, "Left.").await?;
            }
            Effect::Rename(group, name) => {
                let change = ContextChange { name: Some(name), ..ContextChange::default() };
                let changed = session.change_context(group, change, options()).await;
                self.changed(changed, "Renamed.").await?;
            }
            Effect::Accept(group) => {
                session.accept(group.clone()).await.map_err(said)?;
                self.rooms(&session).await?;
                self.tell(Event::Go(group)).await;
            }
            Effect::Decline(group) => {
                session.decline(group).await.map_err(said)?;
                self.tell(Event::Done("Declined.".to_owned())).await;
            }
            Effect::Look(who) => {
                let who = self.person(&session, &who).await?;
                let known = session.known(&who).await.map_err(said)?;
                let number = session.safety_number(&who).to_string();
                self.tell(Event::Known(known, number)).await;
            }
            Effect::Verify { who, number } => {
                let identity = self.person(&session, &who).await?;
                session.verify(identity, number).await.map_err(said)?;
                self.tell(Event::Done(format!("{who} is verified."))).await;
            }
            Effect::Unverify(who) => {
                let identity = self.person(&session, &who).await?;
                session.unverify(identity).await.map_err(said)?;
                self.tell(Event::Done(format!("{who} is not verified any more."))).await;
            }
        }
        self.rooms(&session).await
    }

    /// A crash between the two leaves a session without a name, which the next start names.
    async fn register(&self, name: String) -> Result<(), String> {
        let refused = async |reason: String| {
            self.tell(Event::NameRefused(reason)).await;
            Ok(())
        };
        let session = match self.session() {
            Ok(session) => session,
            Err(_) => match self.client.create(None).await {
                Ok(session) => session,
                Err(error) => return refused(said(error)).await,
            },
        };
        if let Err(error) = session.claim_name(&name).await {
            return refused(said(error)).await;
        }
        self.state.set_name(&name).map_err(|error| error.to_string())?;
        self.tell(Event::Named(Me { identity: session.identity(), name })).await;
        self.follow();
        Ok(())
    }

    async fn changed(
        &self,
        changed: Result<Outcome<quicproquo_client::Change>, SessionError>,
        done: &str,
    ) -> Result<(), String> {
        let said = match changed.map_err(said)?.value.state {
            ChangeState::Done => done.to_owned(),
            ChangeState::Pending => "It is on its way; the group has not taken it yet.".to_owned(),
        };
        self.tell(Event::Done(said)).await;
        Ok(())
    }

    async fn person(&self, session: &Session, who: &str) -> Result<IdentityKey, String> {
        match who.parse() {
            Ok(identity) => Ok(identity),
            Err(_) => session.resolve(who).await.map_err(said),
        }
    }

    async fn people(&self, session: &Session, who: &[String]) -> Result<Vec<IdentityKey>, String> {
        let mut people = Vec::with_capacity(who.len());
        for who in who {
            people.push(self.person(session, who).await?);
        }
        Ok(people)
    }

    /// Tells the messages of a group, oldest first.
    async fn load(&self, session: &Session, group: GroupId, wanted: usize) -> Result<(), String> {
        let (mut messages, mut before): (Vec<Message>, _) = (Vec::new(), None);
        let more = loop {
            let left = u32::try_from(wanted - messages.len()).unwrap_or(PAGE);
            let query =
                HistoryQuery { before, limit: left.clamp(1, PAGE), ..HistoryQuery::default() };
            let page = session.history(&group, query).await.map_err(said)?;
            messages.extend(page.items);
            match page.next {
                None => break false,
                Some(_) if messages.len() >= wanted => break true,
                next => before = next,
            }
        };
        messages.reverse();
        let readers = self.readers(session, &group).await?;
        self.tell(Event::Talk { group, messages, readers, more }).await;
        Ok(())
    }

    /// Tells the list: invitations, then groups by name.
    pub(super) async fn rooms(&self, session: &Session) -> Result<(), String> {
        let invitations = session.invitations().await.map_err(said)?;
        let mut rooms: Vec<Room> = invitations
            .into_iter()
            .map(|invitation| Room {
                id: invitation.id.clone(),
                name: invitation.group_name.clone(),
                kind: RoomKind::Invitation(invitation),
                unread: 0,
            })
            .collect();
        let mut groups = session.groups().await.map_err(said)?;
        groups.retain(|group| {
            !matches!(
                group.state,
                GroupState::Invited | GroupState::Left | GroupState::Removed | GroupState::Declined
            )
        });
        groups.sort_by_key(|group| (group.name.to_lowercase(), group.id.to_string()));
        for group in groups {
            let unread = self.unread(session, &group.id).await?;
            let name =
                if group.name.is_empty() { "(no name)".to_owned() } else { group.name.clone() };
            rooms.push(Room { id: group.id.clone(), name, kind: RoomKind::Group(group), unread });
        }
        self.tell(Event::Rooms(rooms)).await;
        Ok(())
    }

    async fn unread(&self, session: &Session, group: &GroupId) -> Result<usize, String> {
        let since_ms = Some(self.state.read(group) + 1);
        let query = HistoryQuery { since_ms, limit: PAGE, ..HistoryQuery::default() };
        let page = session.history(group, query).await.map_err(said)?;
        let me = session.identity();
        Ok(page.items.iter().filter(|message| message.sender != me).count())
    }
}

/// An error, as a sentence.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn said(error: SessionError) -> String {
    error.to_string()
}
