//! A crowd of bots on one gateway: they talk in several groups and change them over REST, and
//! listen over WebSocket, whatever happens to the gateway meanwhile.

pub mod judge;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bot::{Bot, messages, text_message};
use crate::ear::Ear;
use crate::process::Running;
use crate::seed::part;
use crate::wait::{LONG, wait_for};

use judge::{Room, Sent, Wrong, agree, judge, text};

/// Milliseconds between two changes of a group.
const CHANGES: std::ops::RangeInclusive<u64> = 100..=900;

/// What a crowd is like.
#[derive(Debug, Clone)]
pub struct Spec {
    /// Decides who is where.
    pub seed: u64,
    /// How many bots.
    pub bots: usize,
    /// How many groups.
    pub rooms: usize,
    /// How many are in each of them all the time.
    pub members: usize,
    /// How many come to each and go.
    pub guests: usize,
    /// Between an answer and the next send of the same bot into the same group.
    pub pause: Duration,
    /// How long everything may take to come in the end.
    pub patience: Duration,
    /// Takes a new idempotency key whenever it asks again.
    pub careless: bool,
    /// Groups change meanwhile.
    pub changes: bool,
}

impl Spec {
    /// A small crowd.
    pub fn small(seed: u64) -> Self {
        Self {
            seed,
            bots: 6,
            rooms: 3,
            members: 3,
            guests: 1,
            pause: Duration::ZERO,
            patience: LONG,
            careless: false,
            changes: true,
        }
    }
}

/// The bots, their groups, and what they have said.
#[derive(Debug)]
pub struct Crowd {
    spec: Spec,
    /// The bots.
    pub bots: Vec<Bot>,
    /// Their groups.
    pub rooms: Vec<Room>,
    ears: Vec<Ear>,
    sent: RefCell<Vec<Sent>>,
    next: RefCell<BTreeMap<(usize, usize), u64>>,
    /// How changes of groups were answered, by status.
    changes: RefCell<BTreeMap<u16, u64>>,
    stop: Cell<bool>,
}

impl Crowd {
    /// Creates the bots and their groups, in which everybody is who stays.
    pub async fn gather(gateway: &Running, spec: Spec) -> Self {
        let mut bots = Vec::new();
        for number in 0..spec.bots {
            let bot = Bot::create(gateway, &format!("bot-{number}")).await;
            let path = format!("/v1/bots/{}", bot.id);
            let policy = json!({ "invite_policy": { "policy": "all" } });
            gateway.admin().patch(&path, &policy).await.expect(200);
            bots.push(bot);
        }
        let mut rng = part(spec.seed, 7);
        let mut rooms = Vec::new();
        for number in 0..spec.rooms {
            let mut places: Vec<usize> = (0..spec.bots).collect();
            rng.shuffle(&mut places);
            let guests = places.split_off(spec.members + spec.guests);
            drop(guests);
            let guests = places.split_off(spec.members);
            let others: Vec<&Bot> = places[1..].iter().map(|place| &bots[*place]).collect();
            let group = bots[places[0]].create_group(&format!("room {number}"), &others).await;
            rooms.push(Room { group, members: places, guests });
        }
        for room in &rooms {
            for member in &room.members {
                wait_for("everybody to be in its group", LONG, async || {
                    let path = format!("/v1/groups/{}", room.group);
                    let group = bots[*member].api.get(&path).await;
                    (group.json()["state"] == "active").then_some(())
                })
                .await;
            }
        }
        let mut ears = Vec::new();
        for bot in &bots {
            ears.push(Ear::after_the_newest(bot, "").await);
        }
        Self {
            spec,
            bots,
            rooms,
            ears,
            sent: RefCell::default(),
            next: RefCell::default(),
            changes: RefCell::default(),
            stop: Cell::new(false),
        }
    }

    /// How many messages were answered with a 2xx so far.
    pub fn answered(&self) -> usize {
        self.sent.borrow().len()
    }

    /// The messages that were answered with a 2xx so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.borrow().clone()
    }

    /// Waits until more is answered than there is now.
    pub async fn gets_on(&self, more: usize) {
        let before = self.answered();
        wait_for("the crowd to get on", LONG, async || {
            (self.answered() > before + more).then_some(())
        })
        .await;
    }

    /// Talks and changes groups while `work` is done, which then hands over a gateway that runs;
    /// then everybody says a last word, and all is judged.
    ///
    /// # Errors
    /// What is wrong.
    pub async fn through<T>(&self, work: impl Future<Output = T>) -> Result<(Report, T), String> {
        let began = Instant::now();
        let listening =
            join_all(self.ears.iter().zip(&self.bots).map(|(ear, bot)| ear.listen(bot)));
        let talking = async {
            let lanes = self.lanes().map(|(room, bot)| self.talk(room, bot));
            let changing = (0..self.rooms.len()).map(|room| self.change(room));
            let work = async {
                let done = work.await;
                self.stop.set(true);
                done
            };
            let (_, _, done) = tokio::join!(join_all(lanes), join_all(changing), work);
            // Who can still read and write shows that all have the same keys.
            join_all(self.lanes().map(|(room, bot)| self.say(room, bot))).await;
            let wrong = self.comes_to_an_end().await;
            wrong.map(|()| done)
        };
        let done = tokio::select! {
            done = talking => done,
            _ = listening => unreachable!("they listen for ever"),
        };
        let report = Report {
            sent: self.answered(),
            received: self.ears.iter().map(Ear::received).sum(),
            connections: self.ears.iter().map(Ear::connections).sum(),
            changes: self.changes.borrow().clone(),
            took: began.elapsed(),
        };
        done.map(|done| (report, done))
    }

    fn lanes(&self) -> impl Iterator<Item = (usize, usize)> {
        let rooms = self.rooms.iter().enumerate();
        rooms.flat_map(|(room, it)| it.members.iter().map(move |bot| (room, *bot)))
    }

    async fn talk(&self, room: usize, bot: usize) {
        while !self.stop.get() {
            self.say(room, bot).await;
            if !self.spec.pause.is_zero() {
                sleep(self.spec.pause).await;
            }
        }
    }

    /// Says something, until it is taken.
    async fn say(&self, room: usize, bot: usize) {
        let number = {
            let mut next = self.next.borrow_mut();
            let next = next.entry((room, bot)).or_default();
            *next += 1;
            *next - 1
        };
        let (said, group) = (text(bot, number), &self.rooms[room].group);
        let key = format!("{room} {said}");
        let answer = if self.spec.careless {
            self.insist_carelessly(bot, group, &key, &said).await
        } else {
            self.bots[bot].insist(group, &key, &said).await
        };
        let message = answer["message_id"].as_str().expect("a message has an id").to_owned();
        self.sent.borrow_mut().push(Sent { bot, room, number, message });
    }

    async fn insist_carelessly(&self, bot: usize, group: &str, key: &str, said: &str) -> Value {
        let (tries, body) = (Cell::new(0), text_message(said));
        wait_for("a send to be taken", LONG, async || {
            tries.set(tries.get() + 1);
            let key = format!("{key}, try {}", tries.get());
            let answer = self.bots[bot].api.post_once(&messages(group), &key, &body).await;
            answer.ok().filter(|answer| answer.status == 201).map(|answer| answer.json())
        })
        .await
    }

    /// Changes a group again and again: guests come and go, keys and names change.
    async fn change(&self, room: usize) {
        let mut rng = part(self.spec.seed, 100 + room as u64);
        let Room { group, members, guests } = &self.rooms[room];
        let mut inside = vec![false; guests.len()];
        let path = format!("/v1/groups/{group}");
        for number in 0.. {
            sleep(Duration::from_millis(rng.u64(CHANGES))).await;
            if self.stop.get() || !self.spec.changes {
                return;
            }
            let admin = members[0];
            let (bot, method, path, body) = match rng.u8(..5) {
                0 => (admin, Method::PATCH, path.clone(), json!({ "name": format!("{number}") })),
                1 => {
                    let bot = members[rng.usize(..members.len())];
                    (bot, Method::POST, format!("{path}/update-keys"), json!({}))
                }
                _ if guests.is_empty() => continue,
                _ => {
                    let guest = rng.usize(..guests.len());
                    let identity = &self.bots[guests[guest]].identity;
                    inside[guest] = !inside[guest];
                    let path = format!("{path}/members");
                    if inside[guest] {
                        (admin, Method::POST, path, json!({ "members": [identity] }))
                    } else {
                        (admin, Method::DELETE, format!("{path}/{identity}"), Value::Null)
                    }
                }
            };
            let key = format!("room {room}, change {number}");
            let status = self.insist_on_change(bot, method, &path, &key, &body).await;
            *self.changes.borrow_mut().entry(status).or_default() += 1;
        }
    }

    /// Asks for a change until it is made or can no more be made.
    async fn insist_on_change(
        &self,
        bot: usize,
        method: Method,
        path: &str,
        key: &str,
        body: &Value,
    ) -> u16 {
        let api = &self.bots[bot].api;
        wait_for("a change to be answered", LONG, async || {
            let request = api.request(method.clone(), path).header("Idempotency-Key", key);
            let request = if body.is_null() { request } else { request.json(body) };
            match api.try_send(request).await {
                Ok(answer) if answer.status == 202 => None,
                Ok(answer) if answer.status < 300 => Some(answer.status),
                Ok(answer) if answer.json()["retryable"] == true => None,
                Ok(answer) if matches!(answer.status, 404 | 409) => Some(answer.status),
                Ok(answer) => panic!("{path}: the answer was {}: {}", answer.status, answer.text),
                Err(_) => None,
            }
        })
        .await
    }

    /// Waits until everything has come; what must not be ends the waiting.
    async fn comes_to_an_end(&self) -> Result<(), String> {
        let deadline = Instant::now() + self.spec.patience;
        loop {
            match self.judge() {
                Ok(()) => break,
                Err(Wrong::Missing(_)) if Instant::now() < deadline => {}
                Err(wrong) => return Err(wrong.to_string()),
            }
            sleep(Duration::from_millis(250)).await;
        }
        for room in &self.rooms {
            // Members replace their keys in their turn, also when all is said.
            while let Err(wrong) = agree(&self.views(room).await) {
                if Instant::now() > deadline {
                    return Err(wrong);
                }
                sleep(Duration::from_millis(250)).await;
            }
        }
        Ok(())
    }

    /// A room as each of its members sees it.
    async fn views(&self, room: &Room) -> Vec<(usize, serde_json::Value)> {
        let mut groups = Vec::new();
        for &bot in room.members.iter().chain(&room.guests) {
            let path = format!("/v1/groups/{}", room.group);
            let group = self.bots[bot].api.get(&path).await;
            if group.status == 200 && group.json()["state"] == "active" {
                groups.push((bot, group.json()));
            }
        }
        groups
    }

    /// Judges what was said and heard so far.
    ///
    /// # Errors
    /// What is wrong.
    pub fn judge(&self) -> Result<(), Wrong> {
        let logs: Vec<_> = self.ears.iter().map(Ear::heard).collect();
        let logs: Vec<_> = logs.iter().map(|log| log.as_slice()).collect();
        let identities: Vec<_> = self.bots.iter().map(|bot| bot.identity.clone()).collect();
        judge(&identities, &self.rooms, &self.sent.borrow(), &logs)
    }
}

/// What a crowd has done.
#[derive(Debug)]
pub struct Report {
    /// Messages that were answered.
    pub sent: usize,
    /// Events that came.
    pub received: usize,
    /// How often they listened anew.
    pub connections: usize,
    /// How changes of groups were answered, by status.
    pub changes: BTreeMap<u16, u64>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages, {} events over {} WebSockets, changes by status {:?}, in {:.0} s",
            self.sent,
            self.received,
            self.connections,
            self.changes,
            self.took.as_secs_f64()
        )
    }
}
