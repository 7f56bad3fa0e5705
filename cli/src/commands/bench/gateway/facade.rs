//! The Matrix facade beside the native API: the same group, the same two bots, by turns.

use std::net::SocketAddr;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::super::Sample;
use super::super::host::resident;
use super::super::report::{Report, Row};
use super::circle::{Bot, message};
use crate::clock::Stopwatch;
use crate::exit::Failure;
use crate::rest::{Rest, text};

/// Messages in flight when many are sent.
const IN_FLIGHT: usize = 16;
/// How long to wait for an answer that waits for news.
const PATIENCE: Duration = Duration::from_secs(45);
/// The same, as the requests say it.
const TIMEOUT_MS: u32 = 30_000;
/// Polls that are opened at once.
const AT_ONCE: usize = 16;

/// By which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Matrix,
    Native,
}

impl Way {
    const BOTH: [Self; 2] = [Self::Native, Self::Matrix];
}

/// Who speaks, by either way.
#[derive(Clone)]
struct Speaker {
    rest: Rest,
    group: String,
}

impl Speaker {
    async fn say(&self, way: Way, number: usize) -> Result<(), Failure> {
        let body = message(number);
        match way {
            Way::Native => {
                let path = format!("/v1/groups/{}/messages", self.group);
                self.rest.post(&path, &body).await?;
            }
            Way::Matrix => {
                let body = &body["content"]["body"];
                let path = format!(
                    "/_matrix/client/v3/rooms/!{}:localhost/send/m.room.message/{number}",
                    self.group
                );
                self.rest.put(&path, &json!({ "msgtype": "m.text", "body": body })).await?;
            }
        }
        Ok(())
    }
}

/// One speaks, the other listens by long polls.
pub(super) struct Facade {
    speaker: Speaker,
    listener: Bot,
    /// Where the listener is in its log.
    since: String,
    cursor: String,
    /// Messages so far.
    said: usize,
}

impl Facade {
    pub(super) async fn gather(speaker: &Bot, listener: &Bot) -> Result<Self, Failure> {
        let new = json!({ "name": "bench", "members": [listener.identity] });
        let group = text(&speaker.rest.post("/v1/groups", &new).await?, "group_id")?;
        let (speaker, listener) = (Speaker { rest: speaker.rest.clone(), group }, listener.clone());
        let cursor = text(&listener.rest.get("/v1/events?timeout=0").await?, "next")?;
        let first = listener.rest.get("/_matrix/client/v3/sync").await?;
        let since = text(&first, "next_batch")?;
        let mut facade = Self { speaker, listener, since, cursor, said: 0 };
        // Who has not joined yet hears of it afterwards: then both ways are there.
        for way in Way::BOTH {
            facade.say_and_hear(way).await?;
        }
        facade.catch_up().await?;
        Ok(facade)
    }

    /// Measures, and adds what came out.
    pub(super) async fn measure(
        &mut self,
        messages: usize,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let [mut native, mut matrix] = [Sample::default(), Sample::default()];
        for _ in 0..messages / 4 {
            native.push(self.say_and_hear(Way::Native).await?);
            matrix.push(self.say_and_hear(Way::Matrix).await?);
            self.catch_up().await?;
        }
        let floor = Some(native.median());
        report.add("native: send to poll", Row::time(&native, None));
        report.add("matrix: send to sync", Row::time(&matrix, floor));
        let native = self.many(Way::Native, messages).await?;
        let matrix = self.many(Way::Matrix, messages).await?;
        report.add(&format!("native: {IN_FLIGHT} in flight, polled"), Row::plain("1/s", native));
        report.add(&format!("matrix: {IN_FLIGHT} in flight, synced"), Row::rate(matrix, native));
        Ok(())
    }

    /// The texts of the next answer.
    async fn hear(&mut self, way: Way) -> Result<Vec<usize>, Failure> {
        let rest = &self.listener.rest;
        let bodies: Vec<Value> = match way {
            Way::Native => {
                let path =
                    format!("/v1/events?after={}&timeout={TIMEOUT_MS}&limit=100", self.cursor);
                let page = rest.get(&path).await?;
                self.cursor = text(&page, "next")?;
                let items = page["items"].as_array().into_iter().flatten();
                items.map(|event| event["data"]["content"]["body"].clone()).collect()
            }
            Way::Matrix => {
                let since = &self.since;
                let path = format!("/_matrix/client/v3/sync?since={since}&timeout={TIMEOUT_MS}");
                let answer = rest.get(&path).await?;
                self.since = text(&answer, "next_batch")?;
                let room = &answer["rooms"]["join"][format!("!{}:localhost", self.speaker.group)];
                let events = room["timeline"]["events"].as_array().into_iter().flatten();
                events.map(|event| event["content"]["body"].clone()).collect()
            }
        };
        let numbers = bodies.iter().filter_map(|body| body.as_str()?.parse().ok());
        Ok(numbers.collect())
    }

    /// Nanoseconds from the call that sends until the listener has it.
    async fn say_and_hear(&mut self, way: Way) -> Result<u64, Failure> {
        self.said += 1;
        let number = self.said;
        let watch = Stopwatch::start();
        let speaker = self.speaker.clone();
        let say = async move { speaker.say(way, number).await };
        let hear = async {
            while !self.hear(way).await?.contains(&number) {}
            Ok::<_, Failure>(watch.nanos())
        };
        let ((), nanos) = tokio::try_join!(say, hear)?;
        Ok(nanos)
    }

    /// Moves both places, which are those of one log, behind what was said by either way.
    async fn catch_up(&mut self) -> Result<(), Failure> {
        let page = self.listener.rest.get("/v1/events?timeout=0").await?;
        self.cursor = text(&page, "next")?;
        self.since = format!("s_{}", self.cursor);
        Ok(())
    }

    /// Messages per second, from the first call until the listener has the last.
    async fn many(&mut self, way: Way, count: usize) -> Result<f64, Failure> {
        self.catch_up().await?;
        let begin = self.said + 1;
        self.said += count;
        let speaker = self.speaker.clone();
        let watch = Stopwatch::start();
        let sends = async {
            stream::iter(begin..begin + count)
                .map(|number| speaker.say(way, number))
                .buffer_unordered(IN_FLIGHT)
                .try_for_each(|()| async { Ok(()) })
                .await
        };
        let hears = async {
            let mut heard = 0;
            while heard < count {
                heard += self.hear(way).await?.iter().filter(|number| **number >= begin).count();
            }
            Ok::<_, Failure>(())
        };
        tokio::try_join!(sends, hears)?;
        let elapsed = watch.elapsed();
        self.catch_up().await?;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = count as f64;
        Ok(count / elapsed.as_secs_f64())
    }

    /// Many `/sync` that wait: what one holds, and until when each has a message.
    pub(super) async fn wait_together(
        &mut self,
        gateway: SocketAddr,
        count: usize,
        report: &mut Report,
    ) -> Result<(), Failure> {
        self.catch_up().await?;
        let path = format!("/_matrix/client/v3/sync?since={}&timeout=60000", self.since);
        let open = |count: usize| {
            stream::iter(0..count)
                .map(|_| Poll::open(gateway, &self.listener.token, &path))
                .buffer_unordered(AT_ONCE)
                .try_collect::<Vec<_>>()
        };
        // What the first ones need is not paid by the others.
        let mut polls = open(count / 10).await?;
        sleep(Duration::from_millis(300)).await;
        let before = resident();
        polls.extend(open(count - polls.len()).await?);
        sleep(Duration::from_millis(500)).await;
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let kib_each = (resident() - before) * 1024.0 / (count - count / 10) as f64;
        self.said += 1;
        let watch = Stopwatch::start();
        let hears = polls.iter_mut().map(|poll| async move {
            poll.answer().await?;
            Ok(watch.nanos())
        });
        let (heard, ()) = tokio::try_join!(
            futures::future::try_join_all(hears),
            self.speaker.say(Way::Matrix, self.said)
        )?;
        let heard = Sample::from(heard);
        let name = format!("one message to {count} syncs");
        for (what, nanos) in [("last", heard.quantile(100)), ("median", heard.median())] {
            report.add(&format!("{name}, {what}"), Row::time(&Sample::of(vec![nanos]), None));
        }
        report.add("memory of an idle sync", Row::plain("KiB", kib_each));
        self.catch_up().await
    }
}

/// A request that waits, on a connection of its own that costs its own side next to nothing.
struct Poll(TcpStream);

impl Poll {
    async fn open(gateway: SocketAddr, token: &str, path: &str) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(gateway).await.map_err(Failure::other)?;
        stream.set_nodelay(true).map_err(Failure::other)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {gateway}\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.map_err(Failure::other)?;
        Ok(Self(stream))
    }

    /// Waits for an answer that has a text.
    async fn answer(&mut self) -> Result<(), Failure> {
        const TEXT: &[u8] = b"\"m.room.message\"";
        let late = |_| Failure::other("a sync was not answered in time");
        timeout(PATIENCE, self.0.readable()).await.map_err(late)?.map_err(Failure::other)?;
        let mut answer = Vec::new();
        let read = self.0.read_to_end(&mut answer);
        timeout(PATIENCE, read).await.map_err(late)?.map_err(Failure::other)?;
        if answer.windows(TEXT.len()).any(|part| part == TEXT) {
            return Ok(());
        }
        let head = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        Err(Failure::other(format!("a sync was answered without the message: {head}")))
    }
}
