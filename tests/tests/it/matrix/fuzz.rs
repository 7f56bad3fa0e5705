//! Requests that nobody would send, to all routes: none hangs, and none is answered by a 5xx.

use std::time::Duration;

use fastrand::Rng;
use quicproquo_tests::{Api, Launch, SOON, pair, seed, within};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{client, event_of, next, room, sync};

const REQUESTS: usize = 2_500;

/// Routes with what their parts are: `R` a room, `E` an event, `U` a user, `T` a type, `X` anything.
const ROUTES: &[(&str, &str)] = &[
    ("GET", "/login"),
    ("POST", "/login"),
    ("POST", "/logout/all"),
    ("GET", "/account/whoami"),
    ("POST", "/user/U/filter"),
    ("GET", "/user/U/filter/X"),
    ("GET", "/user/U/account_data/T"),
    ("PUT", "/user/U/account_data/T"),
    ("PUT", "/user/U/rooms/R/account_data/T"),
    ("GET", "/profile/U"),
    ("PUT", "/profile/U/displayname"),
    ("GET", "/sync"),
    ("POST", "/createRoom"),
    ("POST", "/join/R"),
    ("GET", "/joined_rooms"),
    ("POST", "/rooms/R/join"),
    ("POST", "/rooms/R/invite"),
    ("POST", "/rooms/R/kick"),
    ("POST", "/rooms/R/unban"),
    ("POST", "/rooms/R/forget"),
    ("PUT", "/rooms/R/send/T/X"),
    ("PUT", "/rooms/R/redact/E/X"),
    ("PUT", "/rooms/R/typing/U"),
    ("POST", "/rooms/R/receipt/T/E"),
    ("POST", "/rooms/R/read_markers"),
    ("GET", "/rooms/R/joined_members"),
    ("GET", "/rooms/R/members"),
    ("GET", "/rooms/R/messages"),
    ("GET", "/rooms/R/event/E"),
    ("GET", "/rooms/R/context/E"),
    ("GET", "/rooms/R/state"),
    ("GET", "/rooms/R/state/T"),
    ("PUT", "/rooms/R/state/T"),
    ("GET", "/rooms/R/state/T/X"),
    ("PUT", "/rooms/R/state/T/X"),
    ("GET", "/pushrules/"),
    ("POST", "/keys/upload"),
    ("GET", "/devices/X"),
    ("PUT", "/sendToDevice/T/X"),
    ("GET", "/X/X/X"),
    ("POST", "!/_matrix/media/v3/upload"),
    ("GET", "!/_matrix/client/v1/media/download/X/X"),
    ("GET", "!/_matrix/media/r0/thumbnail/X/X/X"),
];

/// What is in the world, and what is not.
struct World {
    rooms: Vec<String>,
    events: Vec<String>,
    users: Vec<String>,
    places: Vec<String>,
}

const TYPES: &[&str] = &[
    "m.room.message",
    "m.reaction",
    "m.room.name",
    "m.room.topic",
    "m.room.power_levels",
    "m.room.encryption",
    "m.room.redaction",
    "m.sticker",
    "com.example.x",
    "m.read",
    "m.fully_read",
    "m.room.member",
];
const STRANGE: &[&str] = &[
    "",
    "%00",
    "%F0%9F%A6%80",
    "..",
    "%2e%2e%2f",
    "a%20b",
    "0",
    "-1",
    "null",
    "%ff",
    "!",
    "@:",
    "$",
    "mxc:%2F%2Flocalhost%2Fx",
    "%25",
    "c1_0",
    "s_c1_ffffffffffffff",
];
const FIELDS: &[&str] = &[
    "type",
    "body",
    "msgtype",
    "url",
    "file",
    "info",
    "m.relates_to",
    "m.new_content",
    "rel_type",
    "event_id",
    "key",
    "m.in_reply_to",
    "user_id",
    "name",
    "topic",
    "invite",
    "initial_state",
    "content",
    "users",
    "users_default",
    "typing",
    "room",
    "timeline",
    "limit",
    "types",
    "password",
    "identifier",
    "user",
    "device_id",
    "reason",
    "displayname",
    "format",
    "formatted_body",
    "m.read",
    "m.fully_read",
    "filename",
];

fn of<'a>(rng: &mut Rng, all: &'a [&'a str]) -> &'a str {
    all[rng.usize(..all.len())]
}

fn one(rng: &mut Rng, all: &[String]) -> String {
    match rng.u8(..4) {
        0 => of(rng, STRANGE).to_owned(),
        _ => all[rng.usize(..all.len())].clone(),
    }
}

impl World {
    fn path(&self, rng: &mut Rng, route: &str) -> String {
        let (prefix, route) = match route.strip_prefix('!') {
            Some(route) => ("", route),
            None if rng.bool() => ("/_matrix/client/v3", route),
            None => ("/_matrix/client/r0", route),
        };
        let parts = route.split('/').map(|part| match part {
            "R" => one(rng, &self.rooms),
            "E" => one(rng, &self.events),
            "U" => one(rng, &self.users),
            "T" if rng.u8(..6) > 0 => of(rng, TYPES).to_owned(),
            "T" | "X" => match rng.u8(..3) {
                0 => of(rng, STRANGE).to_owned(),
                _ => rng.u32(..).to_string(),
            },
            part => part.to_owned(),
        });
        let path = parts.collect::<Vec<_>>().join("/");
        let mut query = Vec::new();
        for name in ["since", "from", "to", "dir", "limit", "filter", "full_state", "membership"] {
            if rng.u8(..4) == 0 {
                let value = match rng.u8(..5) {
                    0 => of(rng, STRANGE).to_owned(),
                    1 => of(rng, &["b", "f", "true", "join"]).to_owned(),
                    2 => {
                        "%7B%22room%22%3A%7B%22timeline%22%3A%7B%22limit%22%3A1%7D%7D%7D".to_owned()
                    }
                    3 => rng.u32(..500).to_string(),
                    _ => self.places[rng.usize(..self.places.len())].clone(),
                };
                query.push(format!("{name}={value}"));
            }
        }
        format!("{prefix}{path}?{}", query.join("&"))
    }

    fn value(&self, rng: &mut Rng, depth: u8) -> Value {
        match rng.u8(..if depth > 3 { 6 } else { 9 }) {
            0 => Value::Null,
            1 => rng.bool().into(),
            2 => rng.i64(..).into(),
            3 => of(rng, TYPES).into(),
            4 => {
                let all = [&self.rooms, &self.events, &self.users, &self.places];
                let all = all[rng.usize(..all.len())];
                all[rng.usize(..all.len())].clone().into()
            }
            5 => "\u{0}\u{fffd}<b>&".repeat(rng.usize(..50)).into(),
            6 => (0..rng.usize(..4)).map(|_| self.value(rng, depth + 1)).collect(),
            _ => self.object(rng, depth + 1),
        }
    }

    fn object(&self, rng: &mut Rng, depth: u8) -> Value {
        let count = rng.usize(..6);
        let field = |rng: &mut Rng| (of(rng, FIELDS).to_owned(), self.value(rng, depth));
        Value::Object((0..count).map(|_| field(rng)).collect())
    }

    /// Something that is nearly right, or not at all.
    fn body(&self, rng: &mut Rng) -> String {
        let event = self.events[rng.usize(..self.events.len())].clone();
        let mut body = match rng.u8(..8) {
            0 => return "{\"a\":".to_owned(),
            1 => return "[".repeat(rng.usize(..200)),
            2 => return String::new(),
            3 => json!({ "msgtype": "m.text", "body": "x", "m.relates_to": {
                "rel_type": of(rng, &["m.replace", "m.thread", "m.annotation", "x"]),
                "event_id": event, "key": "x", "m.in_reply_to": { "event_id": event },
            } }),
            4 => json!({ "msgtype": "m.image", "body": "x", "url": "mxc://localhost/00" }),
            5 => json!({ "user_id": self.users[rng.usize(..self.users.len())], "typing": true }),
            _ => self.object(rng, 0),
        };
        if let Some(fields) = body.as_object_mut()
            && rng.bool()
        {
            fields.insert(of(rng, FIELDS).to_owned(), self.value(rng, 1));
        }
        body.to_string()
    }
}

#[tokio::test]
async fn no_request_is_too_strange() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let first = next(&sync(&bob.api, "", 0).await);
    let said = alice.say(&group, "hello").await;
    let mine = bob.say(&group, "mine").await;
    let nowhere = room(&"0".repeat(64));
    let world = World {
        rooms: vec![room(&group), room(&group), room(&group), nowhere],
        events: vec![event_of(&said), event_of(&mine), "$AAAA".to_owned()],
        users: ["@bob:localhost", "@alice:localhost", "@nobody:localhost", "@bob:other"]
            .map(str::to_owned)
            .into(),
        places: vec![first, "s_c1_0".to_owned(), "i_c1_1".to_owned()],
    };
    let mut rng = Rng::with_seed(seed::seed("the Matrix routes"));
    let requests = seed::pick(REQUESTS, 20 * REQUESTS);
    let nobody = Api::new(&up.url(), "");
    let mut fine = 0;
    for _ in 0..requests {
        let (method, route) = ROUTES[rng.usize(..ROUTES.len())];
        let (path, body) = (world.path(&mut rng, route), world.body(&mut rng));
        let api = if rng.u8(..20) == 0 { &nobody } else { &bob.api };
        let what = format!("{method} {path} {body}");
        let method: Method = method.parse().expect("a method");
        let mut request = api.request(method.clone(), &path);
        if method != Method::GET {
            request = request.body(body);
        }
        let answer = within(&what, SOON, api.send(request)).await;
        assert!(answer.status < 500, "{what}: {} {}", answer.status, answer.text);
        if answer.status < 400 {
            fine += 1;
        } else if !answer.text.is_empty() {
            assert!(answer.json()["errcode"].is_string(), "{what}: {}", answer.text);
        }
    }
    assert!(fine > requests / 10, "some of it makes sense: {fine}");
    tokio::time::sleep(Duration::from_millis(100)).await;
    // All is well behind it.
    let me = bob.api.get(&client("/account/whoami")).await.expect(200);
    assert_eq!(me["user_id"], "@bob:localhost");
    bob.say(&group, "still here").await;
}
