//! Who has said and heard what, and who was in which group when.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use crate::ear::Heard;

/// A member may miss what was said in its last epochs, when it learns first that it was removed.
const LAST_EPOCHS: u64 = 3;

/// Events that must not come.
const LOSSES: [&str; 8] = [
    "message.undecryptable",
    "message.failed",
    "gap.detected",
    "group.forked",
    "group.needs_readd",
    "group.isolated",
    "identity.changed",
    "session.displaced",
];

/// A message that was answered with a 2xx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Who sent it.
    pub bot: usize,
    /// Where.
    pub room: usize,
    /// Counts what this bot has said in this room.
    pub number: u64,
    /// The id in the answer.
    pub message: String,
}

/// A group: its members by their places among the bots.
#[derive(Debug, Clone)]
pub struct Room {
    /// The id of the group.
    pub group: String,
    /// Those who are in it all the time; the first is its admin.
    pub members: Vec<usize>,
    /// Those who come and go.
    pub guests: Vec<usize>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// It may still come.
    Missing(String),
    /// It must not be.
    Fault(String),
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(text) => write!(f, "missing: {text}"),
            Self::Fault(text) => f.write_str(text),
        }
    }
}

/// The text of a message.
pub fn text(bot: usize, number: u64) -> String {
    format!("{bot}/{number}")
}

fn parse(text: &str) -> Option<(usize, u64)> {
    let (bot, number) = text.split_once('/')?;
    Some((bot.parse().ok()?, number.parse().ok()?))
}

/// The stays of somebody who comes and goes: from an epoch to the one that began without it.
fn stays(identity: &str, admin: &[Heard], group: &str) -> Vec<(u64, u64)> {
    let changes = admin.iter().filter(|it| it.kind == "group.members_changed" && it.group == group);
    let mut by_epoch = BTreeMap::new();
    for change in changes {
        let is = |list: &[String]| list.iter().any(|it| it == identity);
        by_epoch.insert(change.epoch, (is(&change.added), is(&change.removed)));
    }
    let mut stays = Vec::new();
    for (epoch, (added, removed)) in by_epoch {
        if removed && let Some((_, left)) = stays.last_mut() {
            *left = epoch;
        }
        if added {
            stays.push((epoch, u64::MAX));
        }
    }
    stays
}

/// Each message is seen once by everybody who was in its group in its epoch, and by nobody else, in
/// the order of its sender, and nothing was lost; otherwise what is wrong. `logs` are the events of
/// the bots since before the first message.
///
/// # Errors
/// [`Wrong`].
pub fn judge(
    identities: &[String],
    rooms: &[Room],
    sent: &[Sent],
    logs: &[&[Heard]],
) -> Result<(), Wrong> {
    for (bot, log) in logs.iter().enumerate() {
        if let Some(event) = log.iter().find(|it| LOSSES.contains(&it.kind.as_str())) {
            return Err(Wrong::Fault(format!("{bot} was told {event:?}")));
        }
    }
    let mut missing = None;
    for (number, room) in rooms.iter().enumerate() {
        let sent: Vec<&Sent> = sent.iter().filter(|it| it.room == number).collect();
        match judge_room(identities, room, &sent, logs) {
            Ok(()) => {}
            Err(Wrong::Missing(text)) => missing = Some(text),
            Err(fault) => return Err(fault),
        }
    }
    missing.map_or(Ok(()), |text| Err(Wrong::Missing(text)))
}

fn judge_room(
    identities: &[String],
    room: &Room,
    sent: &[&Sent],
    logs: &[&[Heard]],
) -> Result<(), Wrong> {
    let mut missing = None;
    let ids: HashMap<(usize, u64), &str> =
        sent.iter().map(|it| ((it.bot, it.number), it.message.as_str())).collect();
    let epochs = sent_in(room, &ids, logs)?;
    if let Some(number) = ids.keys().find(|key| !epochs.contains_key(*key)) {
        missing = Some(format!("{number:?} was never sent"));
    }
    for &bot in room.members.iter().chain(&room.guests) {
        let heard = heard(bot, room, &ids, &epochs, logs[bot])?;
        let stays = if room.members.contains(&bot) {
            vec![(0, u64::MAX)]
        } else {
            stays(&identities[bot], logs[room.members[0]], &room.group)
        };
        for (key, epoch) in epochs.iter().filter(|((sender, _), _)| *sender != bot) {
            let stay = stays.iter().find(|(from, left)| from <= epoch && epoch < left);
            match (stay, heard.contains(key)) {
                (Some(_), true) | (None, false) => {}
                (Some((_, left)), false) => {
                    if left.saturating_sub(*epoch) > LAST_EPOCHS {
                        missing = Some(format!("{bot} has not heard {key:?} of epoch {epoch}"));
                    }
                }
                // What the admin has not told yet may explain it.
                (None, true) => {
                    let text = format!("{bot} has heard {key:?} of epoch {epoch} as a stranger");
                    missing = Some(text);
                }
            }
        }
    }
    missing.map_or(Ok(()), |text| Err(Wrong::Missing(text)))
}

type Epochs = BTreeMap<(usize, u64), u64>;

/// In which epoch each message was sent, as its sender was told, once.
fn sent_in(
    room: &Room,
    ids: &HashMap<(usize, u64), &str>,
    logs: &[&[Heard]],
) -> Result<Epochs, Wrong> {
    let mut epochs = Epochs::new();
    for &bot in &room.members {
        let own = logs[bot].iter().filter(|it| it.kind == "message.sent" && it.group == room.group);
        for event in own {
            let key = parse(&event.text).filter(|(sender, _)| *sender == bot);
            let known = key.filter(|key| ids.get(key) == Some(&event.message.as_str()));
            let Some(key) = known else {
                return Err(Wrong::Fault(format!("{bot} never asked for {event:?}")));
            };
            if epochs.insert(key, event.epoch).is_some() {
                return Err(Wrong::Fault(format!("{bot} was told twice: {event:?}")));
            }
        }
    }
    Ok(epochs)
}

/// What a bot has heard in a room: what was sent, once, and in the order of each sender.
fn heard(
    bot: usize,
    room: &Room,
    ids: &HashMap<(usize, u64), &str>,
    epochs: &Epochs,
    log: &[Heard],
) -> Result<HashSet<(usize, u64)>, Wrong> {
    let mut newest = HashMap::new();
    let mut found = HashSet::new();
    let events = log.iter().filter(|it| it.kind == "message.received" && it.group == room.group);
    for event in events {
        let key = parse(&event.text);
        let Some((key, id)) = key.and_then(|key| Some((key, ids.get(&key)?))) else {
            return Err(Wrong::Fault(format!("{bot} has heard what nobody sent: {event:?}")));
        };
        if *id != event.message || epochs.get(&key).is_some_and(|epoch| *epoch != event.epoch) {
            return Err(Wrong::Fault(format!("{bot} has heard {key:?} as another: {event:?}")));
        }
        if !found.insert(key) {
            return Err(Wrong::Fault(format!("{bot} has heard {key:?} twice")));
        }
        let (sender, number) = key;
        let before = newest.insert(sender, number);
        if before.is_some_and(|before| before > number) {
            return Err(Wrong::Fault(format!("{bot} has heard {key:?} after {before:?}")));
        }
    }
    Ok(found)
}

/// All who are in a room have the same group; `groups` are bots and what they answer about it.
///
/// # Errors
/// How they differ.
pub fn agree(groups: &[(usize, serde_json::Value)]) -> Result<(), String> {
    let Some((first, model)) = groups.first() else { return Ok(()) };
    let of = |group: &serde_json::Value| {
        let members = group["members"].as_array().cloned().unwrap_or_default();
        let members: BTreeSet<String> =
            members.iter().map(|it| format!("{} {}", it["identity"], it["role"])).collect();
        (group["epoch"].clone(), group["name"].clone(), group["state"].clone(), members)
    };
    for (bot, group) in groups {
        if of(group) != of(model) {
            return Err(format!("{bot} and {first} do not agree: {group} and {model}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str, text: &str, epoch: u64) -> Heard {
        Heard {
            kind: kind.to_owned(),
            group: "g".to_owned(),
            message: format!("id {text}"),
            text: text.to_owned(),
            epoch,
            added: Vec::new(),
            removed: Vec::new(),
            reason: String::new(),
        }
    }

    fn received(texts: &[&str]) -> Vec<Heard> {
        texts.iter().map(|text| event("message.received", text, 1)).collect()
    }

    /// Bot 0 says 0 and 1 to bot 1, who is there all the time, and to bot 2, who comes with epoch
    /// 1 and goes with epoch 9.
    fn judged(of_bot_1: &[Heard], of_bot_2: &[Heard]) -> Result<(), Wrong> {
        let change = |epoch, came: bool| {
            let names = |is: bool| if is { vec!["c".to_owned()] } else { Vec::new() };
            let change = event("group.members_changed", "", epoch);
            Heard { added: names(came), removed: names(!came), ..change }
        };
        let log = [
            change(1, true),
            event("message.sent", "0/0", 1),
            event("message.sent", "0/1", 1),
            change(9, false),
        ];
        let sent = |number| Sent { bot: 0, room: 0, number, message: format!("id 0/{number}") };
        let room = Room { group: "g".to_owned(), members: vec![0, 1], guests: vec![2] };
        let identities = ["a", "b", "c"].map(str::to_owned);
        judge(&identities, &[room], &[sent(0), sent(1)], &[&log, of_bot_1, of_bot_2])
    }

    #[test]
    fn each_wrong_history_is_seen() {
        let all = received(&["0/0", "0/1"]);
        assert_eq!(judged(&all, &all), Ok(()));
        let wrong: [(&str, Vec<Heard>); 7] = [
            ("missing", received(&["0/1"])),
            ("missing at the end", received(&["0/0"])),
            ("twice", received(&["0/0", "0/0", "0/1"])),
            ("out of order", received(&["0/1", "0/0"])),
            ("never sent", received(&["0/0", "0/1", "0/2"])),
            ("of another epoch", vec![all[0].clone(), event("message.received", "0/1", 2)]),
            ("a loss", vec![all[0].clone(), all[1].clone(), event("gap.detected", "", 0)]),
        ];
        for (what, log) in wrong {
            judged(&log, &all).expect_err(what);
            judged(&all, &log).expect_err(what);
        }
    }
}
