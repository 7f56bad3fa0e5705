//! Who has said and heard what, judged at the end of a run.

use std::collections::{BTreeMap, HashMap};

use quicproquo_client::{Event, EventData, GroupId, GroupState, IdentityKey, Message};

use super::operation::{Kind, Operation};
use super::oracle::Changes;
use super::world::World;

/// Epochs whose secrets members keep besides the one they are in.
const PAST_EPOCHS: u64 = 3;

/// A message that was sent.
pub(super) struct Said {
    sender: usize,
    group: GroupId,
    epoch: u64,
}

impl World {
    /// Each accepted message was sent once, or has failed once because its sender had to go.
    pub(super) async fn judge_senders(&mut self) -> BTreeMap<usize, Said> {
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
                        || member.log.iter().any(|event| is_end(event, group))
                        || self.wanted_to_leave(operation.member, group, number) => {}
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

    /// Who was a member when a message was encrypted for the last time has it once, and from each
    /// sender in order. Nobody else has it. What could not be read came again, unless rows have
    /// changed places, its sender was removed before it came (who stays alone commits without the
    /// queue), or its receiver was, and is back.
    pub(super) fn judge_receivers(
        &mut self,
        sent: &BTreeMap<usize, Said>,
        changes: &HashMap<GroupId, Changes>,
    ) {
        let mut faults = Vec::new();
        for index in 0..self.members.len() {
            let got = self.heard(index, sent, changes, &mut faults);
            let member = &self.members[index];
            let mut told = member.undecryptable.clone();
            for (number, said) in sent.iter().filter(|(_, said)| said.sender != index) {
                let text = Operation::text(*number);
                let none = Changes::new();
                let changes = changes.get(&said.group).unwrap_or(&none);
                let was_in = |it: usize| {
                    let key = &self.members[it].key;
                    stay(key, self.made(it, &said.group), said.epoch, changes)
                };
                let count = got.get(number).copied().unwrap_or_default();
                if self.is_disturbed(&said.group) {
                    if count > 1 {
                        faults.push(format!("{} hears {text} twice", member.name));
                    }
                    continue;
                }
                // The last member leaves without a commit.
                let went = member.log.iter().any(|event| is_end(event, &said.group))
                    || self.declined(index, &said.group);
                match (was_in(index), count) {
                    (Some(_), 1) | (None, 0) => {}
                    (Some(Stay { left }), 0) => {
                        let late = told.iter().enumerate().filter_map(|(place, epochs)| {
                            let epoch = *epochs.get(&said.group)?;
                            (said.epoch < epoch).then_some((epoch, place))
                        });
                        let parted = was_in(said.sender).and_then(|stay| stay.left);
                        // Who comes back has no secrets of its former stay.
                        let gone = |at: u64| parted.into_iter().chain(left).any(|left| left <= at);
                        // The least late one: the others may be needed for younger messages.
                        let late = late.filter(|(at, _)| member.swapped || gone(*at)).min();
                        if let Some((_, place)) = late {
                            told.swap_remove(place);
                            self.verdict.told_losses += 1;
                        } else if left.is_none() && !went {
                            faults.push(format!("{} never hears {text}", member.name));
                        }
                    }
                    (Some(_), _) => faults.push(format!("{} hears {text} twice", member.name)),
                    (None, _) => {
                        faults.push(format!("{} hears {text}, as a stranger", member.name));
                    }
                }
            }
            // What came again was asked for more epochs before than are kept, and so was what has
            // failed because its sender had to go meanwhile; it may have been overtaken once more.
            for (number, operation) in self.operations.iter().enumerate() {
                let newest = match (sent.get(&number), &operation.kind) {
                    (Some(said), _) => said.epoch,
                    (None, Kind::Send) => u64::MAX,
                    (None, _) => continue,
                };
                let Some(group) = &operation.group else { continue };
                let mut oldest = operation.epoch + PAST_EPOCHS + 1;
                while oldest <= newest {
                    let epochs = told.iter().map(|epochs| epochs.get(group).copied());
                    let late = epochs.enumerate().filter(|(_, epoch)| *epoch >= Some(oldest));
                    let Some((place, _)) = late.min_by_key(|(_, epoch)| *epoch) else { break };
                    told.swap_remove(place);
                    oldest += PAST_EPOCHS + 1;
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
    pub(super) async fn judge_disturbed(&mut self, sent: &BTreeMap<usize, Said>) {
        let mut faults = Vec::new();
        for index in 0..self.members.len() {
            let (name, heard) = (self.members[index].name, self.heard_by(index));
            for (number, said) in sent.range(self.last_words..) {
                if self.beyond_help.contains(&(said.sender, said.group.clone())) {
                    continue;
                }
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
        changes: &HashMap<GroupId, Changes>,
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
            // An old copy does not know that its message was sent, and sends it once more under the
            // same id.
            let copy = self.members[said.sender].restored;
            // Nor does who was removed and comes back know what was read of what it had said.
            let made = self.made(said.sender, &said.group);
            let left = changes
                .get(&said.group)
                .and_then(|changes| stay(&sender, made, message.epoch, changes)?.left);
            let back = left.is_some_and(|left| left <= said.epoch);
            if message.sender != sender || message.epoch != said.epoch && !copy && !back {
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

    /// Whether a member wanted none of a group in the end; the last one there has nobody to tell.
    pub(super) fn declined(&self, index: usize, group: &GroupId) -> bool {
        let mut operations = self.operations.iter().rev();
        let last = operations.find(|it| {
            it.member == index
                && it.group.as_ref() == Some(group)
                && it.answer == Some(Ok(()))
                && matches!(it.kind, Kind::Accept | Kind::Decline)
        });
        last.is_some_and(|it| matches!(it.kind, Kind::Decline))
    }

    /// Whether a member was told that it leaves, after it had said something; it may have come to be
    /// the only admin since.
    fn wanted_to_leave(&self, index: usize, group: &GroupId, said: usize) -> bool {
        self.operations[said..].iter().any(|operation| {
            operation.member == index
                && operation.group.as_ref() == Some(group)
                && operation.answer == Some(Ok(()))
                && matches!(operation.kind, Kind::Leave)
        })
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
