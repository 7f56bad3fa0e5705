//! What must be true at the end of a run, judged by what sessions tell and nothing else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use quicproquo_client::{
    ChangeState, DeliveryState, Event, EventData, GroupId, GroupInfo, GroupState, Idempotency,
    IdentityKey, LinkState, Message, Options, SessionError,
};

use super::operation::{Kind, Operation};
use super::world::World;

/// Epochs whose secrets members keep besides the one they are in.
const PAST_EPOCHS: u64 = 3;

/// What an event says, for the story.
pub fn said(world: &World, event: &Event) -> String {
    let room = event.group.as_ref().map_or_else(String::new, |group| world.room(group));
    let text = |message: &Message| message.body["body"].as_str().unwrap_or("?").to_owned();
    let names = |keys: &[IdentityKey]| {
        keys.iter().map(|key| world.name(key)).collect::<Vec<_>>().join(", ")
    };
    match &event.data {
        EventData::MessageReceived(message) => {
            let (from, epoch) = (world.name(&message.sender), message.epoch);
            format!("{room} epoch {epoch}: {} from {from}", text(message))
        }
        EventData::MessageSent(message) => {
            format!("{room} epoch {}: {} is sent", message.epoch, text(message))
        }
        EventData::MessageFailed(message) => {
            let reason = match &message.delivery {
                DeliveryState::Failed { reason } => reason.as_str(),
                DeliveryState::Queued | DeliveryState::Sent => "?",
            };
            format!("{room}: {} has failed, {reason}", text(message))
        }
        EventData::GroupMembersChanged { epoch, by, added, removed } => format!(
            "{room} epoch {epoch}: {} has added [{}] and removed [{}]",
            world.name(by),
            names(added),
            names(removed)
        ),
        EventData::GroupRenamed { epoch, by, name, .. } => {
            format!("{room} epoch {epoch}: {} calls it {name}", world.name(by))
        }
        EventData::GroupJoined { epoch, .. } => format!("{room}: joined at epoch {epoch}"),
        // Names keys, which no seed repeats.
        EventData::InvitationReceived(_) => format!("{room}: invited"),
        other => {
            let told = serde_json::to_value(other).unwrap_or_default();
            format!("{room}: {} {}", other.kind(), told["data"])
        }
    }
}

/// A change of the members of a group, as everybody must have seen it.
type Changes = BTreeMap<u64, (IdentityKey, BTreeSet<IdentityKey>, BTreeSet<IdentityKey>)>;

/// A message that was sent.
struct Said {
    sender: usize,
    group: GroupId,
    epoch: u64,
}

impl World {
    /// Judges the run.
    pub async fn judge(&mut self) {
        for group in self.groups.clone() {
            self.judge_group(&group).await;
        }
        self.judge_sessions();
        self.judge_outcomes().await;
        self.judge_events();
        let changes = self.judge_changes();
        let sent = self.judge_senders().await;
        self.judge_receivers(&sent, &changes);
        self.judge_disturbed(&sent).await;
    }

    /// Nobody is mute or alone.
    fn judge_sessions(&mut self) {
        for index in 0..self.members.len() {
            let member = &self.members[index];
            let Some((_, session)) = &member.running else {
                let fault = format!("{} does not live", member.name);
                self.fault(fault);
                continue;
            };
            let (name, health) = (member.name, session.health());
            let lost = self.beyond_help.iter().any(|(it, _)| *it == index);
            if health.link != LinkState::Up || (health.outbox > 0 && !lost) {
                self.fault(format!(
                    "{name} ends with link {:?} and {} payloads to send",
                    health.link, health.outbox
                ));
            }
        }
    }

    /// What was accepted must be done, or have failed for a reason, by now.
    async fn judge_outcomes(&mut self) {
        for number in 0..self.operations.len() {
            let operation = &self.operations[number];
            if operation.answer != Some(Ok(()))
                || operation.forgotten
                || !matches!(operation.kind, Kind::Update)
            {
                continue;
            }
            let (member, group) = (operation.member, operation.group.clone());
            let Some((_, session)) = &self.members[member].running else { continue };
            let key = format!("operation {number}");
            let idempotency = Some(Idempotency { key, fingerprint: [0; 32] });
            let options = Options { idempotency, ..Options::default() };
            let Some(group) = group else { continue };
            if self.beyond_help.contains(&(member, group.clone())) {
                continue;
            }
            let answer = session.update_keys(group, options).await;
            if answer.is_ok_and(|outcome| outcome.value.state == ChangeState::Pending) {
                let name = self.members[member].name;
                self.fault(format!("operation {number} of {name} never comes to an end"));
            }
        }
    }

    /// Nobody was told of what must not happen.
    fn judge_events(&mut self) {
        let mut faults = Vec::new();
        for member in &self.members {
            for event in &member.log {
                let bad = match &event.data {
                    EventData::MessageReceived(_)
                    | EventData::MessageSent(_)
                    | EventData::MessageFailed(_)
                    | EventData::GroupJoined { .. }
                    | EventData::GroupMembersChanged { .. }
                    | EventData::GroupRenamed { .. }
                    | EventData::GroupLeft { .. }
                    | EventData::InvitationReceived(_) => false,
                    EventData::GroupChangeFailed { reason } => !is_a_race(reason),
                    // Judged with the message that is missing.
                    EventData::MessageUndecryptable { reason, .. } => {
                        reason != "mls" && !self.losses
                    }
                    EventData::GapDetected { .. }
                    | EventData::GroupForked { .. }
                    | EventData::GroupNeedsReadd { .. }
                    | EventData::GroupRepaired {} => !self.losses,
                    _ => true,
                };
                if bad {
                    faults.push(format!("{} is told: {}", member.name, said(self, event)));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    /// All have seen the same changes at the same epochs, each once.
    fn judge_changes(&mut self) -> HashMap<GroupId, Changes> {
        let mut faults = Vec::new();
        let mut all: HashMap<GroupId, Changes> = HashMap::new();
        for member in &self.members {
            let mut seen = BTreeSet::new();
            for event in &member.log {
                let Some(group) = &event.group else { continue };
                if self.is_disturbed(group) {
                    continue;
                }
                let EventData::GroupMembersChanged { epoch, by, added, removed } = &event.data
                else {
                    continue;
                };
                if !seen.insert((group.as_bytes().to_vec(), *epoch)) {
                    faults.push(format!("{} is told twice: {}", member.name, said(self, event)));
                }
                let set = |keys: &[IdentityKey]| keys.iter().copied().collect::<BTreeSet<_>>();
                let change = (*by, set(added), set(removed));
                let known = all.entry(group.clone()).or_default().entry(*epoch);
                if *known.or_insert_with(|| change.clone()) != change {
                    faults.push(format!("{} sees a fork: {}", member.name, said(self, event)));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
        all
    }

    /// All members of a group have the same group, and are all there.
    async fn judge_group(&mut self, group: &GroupId) {
        let room = self.room(group);
        let mut active: Vec<(&'static str, IdentityKey, GroupInfo)> = Vec::new();
        let mut faults = Vec::new();
        let mut lost = Vec::new();
        for (index, member) in self.members.iter().enumerate() {
            let Some((_, session)) = &member.running else { continue };
            let Ok(info) = session.group(group).await else { continue };
            match info.state {
                GroupState::Active => active.push((member.name, member.key, info)),
                GroupState::Left | GroupState::Removed => {}
                GroupState::NeedsReadd | GroupState::Leaving if self.losses => lost.push(index),
                other => faults.push(format!("{} ends {other:?} in {room}", member.name)),
            }
        }
        // Who has lost the commit by which it was removed knows of the loss, and of no more.
        let newest = active.iter().map(|(_, _, info)| info).max_by_key(|info| info.epoch).cloned();
        let is_out = |key: &IdentityKey| {
            newest.iter().any(|info| info.members.iter().all(|it| it.identity != *key))
        };
        active.retain(|(_, key, _)| {
            let index = self.members.iter().position(|it| it.key == *key).unwrap_or_default();
            let out = is_out(key) && self.is_disturbed_for(index);
            if out {
                lost.push(index);
            }
            !out
        });
        for index in lost {
            // Whoever was removed, or has nobody left who knows the group, asks in vain.
            let in_it = |info: &GroupInfo| {
                info.members.iter().any(|it| it.identity == self.members[index].key)
            };
            if active.iter().any(|(_, _, info)| in_it(info)) {
                faults.push(format!("{} is never added to {room} again", self.members[index].name));
            }
            self.beyond_help.push((index, group.clone()));
        }
        if let Some((first, _, model)) = active.first() {
            let roster: BTreeSet<_> =
                model.members.iter().map(|member| (member.identity, member.role as u8)).collect();
            for (name, key, info) in &active {
                let own: BTreeSet<_> = info
                    .members
                    .iter()
                    .map(|member| (member.identity, member.role as u8))
                    .collect();
                if (info.epoch, &info.name, &own) != (model.epoch, &model.name, &roster) {
                    faults.push(format!(
                        "{name} and {first} do not agree on {room}: epochs {} and {}",
                        info.epoch, model.epoch
                    ));
                }
                if roster.iter().all(|(member, _)| member != key) {
                    faults.push(format!("{name} thinks it is in {room}, the others do not"));
                }
            }
            for (key, _) in &roster {
                // An old copy cannot know of a group that it was added to since.
                let unknown = self.losses && !self.knows(key, group);
                let lost = self
                    .beyond_help
                    .iter()
                    .any(|(it, lost)| lost == group && self.members[*it].key == *key);
                if !unknown && !lost && active.iter().all(|(_, member, _)| member != key) {
                    faults.push(format!("{} is in {room} and not there", self.name(key)));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    fn knows(&self, member: &IdentityKey, group: &GroupId) -> bool {
        let member = self.members.iter().find(|it| it.key == *member);
        member.is_some_and(|it| it.log.iter().any(|event| event.group.as_ref() == Some(group)))
    }

    /// Each accepted message was sent once, or has failed once because its sender had to go.
    async fn judge_senders(&mut self) -> BTreeMap<usize, Said> {
        let mut faults = Vec::new();
        let mut sent = BTreeMap::new();
        let mut accepted = 0;
        for (number, operation) in self.operations.iter().enumerate() {
            let is_send = matches!(operation.kind, Kind::Send);
            if !is_send || operation.forgotten || operation.answer != Some(Ok(())) {
                continue;
            }
            accepted += 1;
            let Some(group) = &operation.group else { continue };
            let (member, text) = (&self.members[operation.member], Operation::text(number));
            let is_it = |message: &Message| message.body["body"] == *text;
            let ends: Vec<_> = member
                .log
                .iter()
                .filter_map(|event| match &event.data {
                    EventData::MessageSent(message) if is_it(message) => Some(Some(message.epoch)),
                    EventData::MessageFailed(message) if is_it(message) => Some(None),
                    _ => None,
                })
                .collect();
            match ends[..] {
                [Some(epoch)] => {
                    let (sender, group) = (operation.member, group.clone());
                    sent.insert(number, Said { sender, group, epoch });
                }
                [None]
                    if self.stands(operation.member, group).await != Some(GroupState::Active)
                        || member.log.iter().any(|event| is_end(event, group)) => {}
                [] if self.beyond_help.contains(&(operation.member, group.clone())) => {}
                _ => faults.push(format!("{text} of {} ended like this: {ends:?}", member.name)),
            }
        }
        self.verdict.accepted = accepted;
        for fault in faults {
            self.fault(fault);
        }
        sent
    }

    /// Who was a member when a message was encrypted has it once, and from each sender in order,
    /// or was told of a loss that is allowed. Nobody else has it.
    fn judge_receivers(
        &mut self,
        sent: &BTreeMap<usize, Said>,
        changes: &HashMap<GroupId, Changes>,
    ) {
        let mut faults = Vec::new();
        for index in 0..self.members.len() {
            let got = self.heard(index, sent, &mut faults);
            let member = &self.members[index];
            let mut told = member.undecryptable.clone();
            for (number, said) in sent.iter().filter(|(_, said)| said.sender != index) {
                let text = Operation::text(*number);
                let none = Changes::new();
                let changes = changes.get(&said.group).unwrap_or(&none);
                let stay = stay(&member.key, self.made(index, &said.group), said.epoch, changes);
                let count = got.get(number).copied().unwrap_or_default();
                if self.is_disturbed(&said.group) {
                    if count > 1 {
                        faults.push(format!("{} hears {text} twice", member.name));
                    }
                    continue;
                }
                // The last member leaves without a commit.
                let went = member.log.iter().any(|event| is_end(event, &said.group));
                match (stay, count) {
                    (Some(_), 1) | (None | Some(Stay { left: Some(_) }), 0) => {}
                    (Some(_), 0) if went => {}
                    (Some(_), 0) => {
                        let place = told.iter().position(|epochs| {
                            let epoch = epochs.get(&said.group);
                            epoch.is_some_and(|epoch| said.epoch + PAST_EPOCHS < *epoch)
                        });
                        if let Some(place) = place {
                            told.swap_remove(place);
                            self.verdict.told_losses += 1;
                        } else {
                            faults.push(format!("{} never hears {text}", member.name));
                        }
                    }
                    (Some(_), _) => faults.push(format!("{} hears {text} twice", member.name)),
                    (None, _) => {
                        faults.push(format!("{} hears {text}, as a stranger", member.name));
                    }
                }
            }
            if !told.is_empty() && !self.losses {
                let (name, count) = (member.name, told.len());
                faults.push(format!("{name} could not read {count} payloads that nobody misses"));
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    /// What was said in the end has come to all, whatever was lost before.
    async fn judge_disturbed(&mut self, sent: &BTreeMap<usize, Said>) {
        let mut faults = Vec::new();
        for index in 0..self.members.len() {
            let (name, heard) = (self.members[index].name, self.heard_by(index));
            for (number, said) in sent.range(self.last_words..) {
                let is_in = self.stands(index, &said.group).await == Some(GroupState::Active)
                    && !self.beyond_help.contains(&(index, said.group.clone()));
                if is_in && said.sender != index && !heard.contains(number) {
                    faults.push(format!("{name} never hears m{number}, which was said in the end"));
                }
            }
        }
        for fault in faults {
            self.fault(fault);
        }
    }

    /// The operations whose messages a member has heard, in order.
    pub fn heard_by(&self, index: usize) -> Vec<usize> {
        let heard = self.members[index].log.iter().filter_map(|event| match &event.data {
            EventData::MessageReceived(message) => {
                Operation::number(message.body["body"].as_str().unwrap_or_default())
            }
            _ => None,
        });
        heard.collect()
    }

    /// How often a member has heard what, which it must have heard in order.
    fn heard(
        &self,
        index: usize,
        sent: &BTreeMap<usize, Said>,
        faults: &mut Vec<String>,
    ) -> BTreeMap<usize, usize> {
        let name = self.members[index].name;
        let mut got: BTreeMap<usize, usize> = BTreeMap::new();
        let mut newest: HashMap<(GroupId, IdentityKey), usize> = HashMap::new();
        for event in &self.members[index].log {
            let EventData::MessageReceived(message) = &event.data else { continue };
            let number = Operation::number(message.body["body"].as_str().unwrap_or_default());
            if number.is_some_and(|number| self.is_forgotten(&self.operations[number])) {
                continue;
            }
            let Some((number, said)) = number.and_then(|number| sent.get_key_value(&number)) else {
                faults.push(format!("{name} hears {}, which nobody sent", message.body));
                continue;
            };
            *got.entry(*number).or_default() += 1;
            let sender = self.members[said.sender].key;
            if (message.sender, message.epoch) != (sender, said.epoch) {
                faults.push(format!("{name} hears m{number} as of another"));
            }
            let newest = newest.entry((said.group.clone(), sender)).or_default();
            if *newest > *number && !self.members[index].swapped {
                faults.push(format!("{name} hears m{number} after m{newest}"));
            }
            *newest = (*newest).max(*number);
        }
        got
    }

    /// Whether who asked for it does not know any more what became of it.
    fn is_forgotten(&self, operation: &Operation) -> bool {
        let lost = |group: &GroupId| self.beyond_help.contains(&(operation.member, group.clone()));
        operation.forgotten || operation.group.as_ref().is_some_and(lost)
    }

    /// Whether a member has made a group.
    fn made(&self, index: usize, group: &GroupId) -> bool {
        self.operations.iter().any(|operation| {
            operation.member == index
                && operation.group.as_ref() == Some(group)
                && matches!(operation.kind, Kind::Create(..))
        })
    }
}

/// Whether a change may fail for this reason because another one came first.
fn is_a_race(reason: &str) -> bool {
    let races = [
        SessionError::GroupInactive.to_string(),
        SessionError::NotAdmin.to_string(),
        SessionError::LastAdmin.to_string(),
        "is not a member of the group".to_owned(),
        "is a member of the group already".to_owned(),
        "there is no key package to be had for".to_owned(),
    ];
    races.iter().any(|race| reason.contains(race))
}

fn is_end(event: &Event, group: &GroupId) -> bool {
    matches!(event.data, EventData::GroupLeft { .. }) && event.group.as_ref() == Some(group)
}

/// A time in a group.
struct Stay {
    /// The epoch that began without the member.
    left: Option<u64>,
}

/// The stay of a member in which an epoch falls.
fn stay(member: &IdentityKey, made: bool, epoch: u64, changes: &Changes) -> Option<Stay> {
    let mut before = changes.range(..=epoch).rev().map(|(_, change)| change);
    let last =
        before.find(|(_, added, removed)| added.contains(member) || removed.contains(member));
    let is_in = last.map_or(made, |(_, added, _)| added.contains(member));
    let mut after = changes.range(epoch + 1..);
    let left = after.find(|(_, (_, _, removed))| removed.contains(member)).map(|(epoch, _)| *epoch);
    is_in.then_some(Stay { left })
}
