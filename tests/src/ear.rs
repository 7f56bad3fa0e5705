//! A listener of a bot's event log over WebSocket, which resumes where it was whatever happens to
//! the gateway.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::time::Duration;

use serde_json::Value;
use tokio::time::sleep;

use crate::bot::{Bot, body_of};
use crate::socket::Socket;

/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(20);

/// What is kept of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Its type.
    pub kind: String,
    /// The group it is about, empty when it is about none.
    pub group: String,
    /// Of a message: its id.
    pub message: String,
    /// Of a message: its text.
    pub text: String,
    /// Of a message or of a change of members.
    pub epoch: u64,
    /// Who came, of a change of members.
    pub added: Vec<String>,
    /// Who went.
    pub removed: Vec<String>,
    /// Why, where the event says so.
    pub reason: String,
}

impl Heard {
    fn of(event: &Value) -> Self {
        let data = &event["data"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let list = |value: &Value| {
            let all = value.as_array().map(Vec::as_slice).unwrap_or_default();
            all.iter().map(text).collect()
        };
        Self {
            kind: text(&event["type"]),
            group: text(&event["group_id"]),
            message: text(&data["message_id"]),
            text: body_of(data),
            epoch: data["epoch"].as_u64().unwrap_or_default(),
            added: list(&data["added"]),
            removed: list(&data["removed"]),
            reason: text(&data["reason"]),
        }
    }
}

/// How a listener resumes.
#[derive(Debug)]
enum Place {
    /// Behind the last event that it has seen.
    After(RefCell<String>),
    /// A named consumer, whose place the gateway keeps; with the cursors of what it was told.
    Consumer(&'static str, RefCell<HashSet<String>>),
}

/// A listener.
#[derive(Debug)]
pub struct Ear {
    place: Place,
    kinds: &'static str,
    heard: RefCell<Vec<Heard>>,
    received: Cell<usize>,
    resumed: Cell<usize>,
    repeated: Cell<usize>,
    /// Keeps an event only when the next one comes, when it has long moved on.
    careless: bool,
    unkept: RefCell<Option<Heard>>,
}

impl Ear {
    fn at(place: Place, kinds: &'static str) -> Self {
        Self {
            place,
            kinds,
            heard: RefCell::default(),
            received: Cell::default(),
            resumed: Cell::default(),
            repeated: Cell::default(),
            careless: false,
            unkept: RefCell::default(),
        }
    }

    /// Hears what comes after what is there now, of these types (empty: of all).
    pub async fn after_the_newest(bot: &Bot, kinds: &'static str) -> Self {
        Self::at(Place::After(RefCell::new(bot.tail().await)), kinds)
    }

    /// The same, which keeps an event only when the next one comes.
    pub async fn careless(bot: &Bot, kinds: &'static str) -> Self {
        Self { careless: true, ..Self::after_the_newest(bot, kinds).await }
    }

    /// A named consumer, which acknowledges what it has kept; it begins at what is there now.
    pub async fn consumer(bot: &Bot, name: &'static str, kinds: &'static str) -> Self {
        let query = format!("consumer={name}");
        drop(Socket::open(&bot.api, &query).await);
        Self::at(Place::Consumer(name, RefCell::default()), kinds)
    }

    /// Listens for ever.
    pub async fn listen(&self, bot: &Bot) {
        loop {
            let query = match &self.place {
                Place::After(cursor) => format!("after={}", cursor.borrow()),
                Place::Consumer(name, _) => format!("consumer={name}"),
            };
            let query = format!("{query}&types={}", self.kinds);
            let query = query.strip_suffix("&types=").unwrap_or(&query);
            if let Ok(mut socket) = Socket::try_open(&bot.api, query).await {
                self.resumed.set(self.resumed.get() + 1);
                while let Ok(frame) = socket.next().await {
                    if frame["type"] == "event" && !self.hear(&frame, &mut socket).await {
                        break;
                    }
                }
                self.unkept.take();
            }
            sleep(AGAIN).await;
        }
    }

    /// `false`: the connection is gone.
    async fn hear(&self, frame: &Value, socket: &mut Socket) -> bool {
        let event = &frame["event"];
        let cursor = event["cursor"].as_str().expect("an event has a cursor").to_owned();
        let heard = Some(Heard::of(event));
        match &self.place {
            Place::After(place) => *place.borrow_mut() = cursor,
            Place::Consumer(_, known) => {
                if known.borrow_mut().insert(cursor) {
                    self.keep(heard);
                } else {
                    self.repeated.set(self.repeated.get() + 1);
                }
                return socket.try_ack(frame).await;
            }
        }
        self.keep(if self.careless { self.unkept.replace(heard.clone()) } else { heard.clone() });
        true
    }

    fn keep(&self, heard: Option<Heard>) {
        self.received.set(self.received.get() + 1);
        self.heard.borrow_mut().extend(heard);
    }

    /// How many events came, those that came again left out.
    pub fn received(&self) -> usize {
        self.received.get()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.resumed.get()
    }

    /// How many events came again.
    pub fn repeated(&self) -> usize {
        self.repeated.get()
    }

    /// Everything that was kept so far.
    pub fn heard(&self) -> std::cell::Ref<'_, Vec<Heard>> {
        self.heard.borrow()
    }

    /// The texts that were kept, in order.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<_> = self.heard().iter().map(|heard| heard.text.clone()).collect();
        texts.extend(self.unkept.take().map(|heard| heard.text));
        texts
    }
}
