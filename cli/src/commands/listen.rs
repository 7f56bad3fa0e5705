//! `qpq listen`: a bot's events as lines, for people and for pipes.

mod line;

use std::time::Duration;

use futures::future::{Either, select};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use crate::args::Listen;
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::{note, print_on};
use crate::rest::{self, Events, Item, Refusal, Rest, escape, find_group, text};
use line::Names;

/// Pause before the stream is opened again, which doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(5);

/// Writes events until a signal comes, or nobody reads on, or enough are written.
pub(crate) async fn run(settings: &Settings, listen: Listen) -> Result<(), Failure> {
    let rest = rest::bot(settings, &listen.access)?;
    let signal = |kind| signal(kind).map_err(|e| Failure::other(format!("signals: {e}")));
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    // A pipe that nobody empties holds the writer up, but not the end of the process.
    let listening = TaskTracker::new().spawn(follow(rest, listen));
    let end = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::pin!(end);
    match select(listening, end).await {
        Either::Left((ended, _)) => ended.map_err(Failure::other)?,
        Either::Right(((), _)) => Ok(()),
    }
}

async fn follow(rest: Rest, listen: Listen) -> Result<(), Failure> {
    let mut query = vec![("types", listen.types.join(","))];
    let mut groups = Vec::with_capacity(listen.group.len());
    for group in &listen.group {
        groups.push(find_group(&rest, group).await?);
    }
    query.push(("groups", groups.join(",")));
    query.push(("consumer", listen.consumer.clone().unwrap_or_default()));
    query.retain(|(_, value)| !value.is_empty());
    let mut listener = Listener {
        names: Names::new(),
        query,
        after: listen.after.clone(),
        written: 0,
        rest,
        listen,
    };
    listener.begin().await?;
    listener.run().await
}

struct Listener {
    rest: Rest,
    listen: Listen,
    names: Names,
    query: Vec<(&'static str, String)>,
    /// Where to begin, and to go on.
    after: Option<String>,
    written: u64,
}

impl Listener {
    /// Finds the place to begin at, so that what happens while the stream is opened again is not
    /// passed over. The gateway keeps that of a consumer.
    async fn begin(&mut self) -> Result<(), Failure> {
        if self.after.is_none() && self.listen.consumer.is_none() {
            self.after = Some(text(&self.rest.get("/v1/events?timeout=0").await?, "next")?);
        }
        Ok(())
    }

    async fn run(&mut self) -> Result<(), Failure> {
        let (mut pause, mut lost, mut first) = (FIRST_PAUSE, false, true);
        loop {
            match self.open().await {
                Ok(mut events) => {
                    if lost {
                        note("the gateway answers again");
                    }
                    (pause, lost, first) = (FIRST_PAUSE, false, false);
                    if !self.read(&mut events).await? {
                        return Ok(());
                    }
                }
                Err(refusal) if first || !refusal.passing => return Err(refusal.failure),
                Err(refusal) => {
                    if !lost {
                        note(format_args!("{}; trying again", refusal.failure));
                    }
                    lost = true;
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn open(&self) -> Result<Events, Refusal> {
        let mut query = String::new();
        let after = self.after.clone().map(|after| ("after", after));
        for (name, value) in self.query.iter().cloned().chain(after) {
            query = format!("{query}{name}={}&", escape(&value));
        }
        self.rest.events(query.trim_end_matches('&')).await
    }

    /// Writes the events of a stream; answers whether to go on when it has ended.
    async fn read(&mut self, events: &mut Events) -> Result<bool, Failure> {
        let mut handled = Vec::new();
        while let Some(item) = events.next().await? {
            match item {
                Item::Event(raw, event) => {
                    let line = if self.listen.access.json {
                        raw
                    } else {
                        self.names.line(&self.rest, &event).await
                    };
                    if !print_on(line)? {
                        return Ok(false);
                    }
                    self.written += 1;
                    self.went_to(event["cursor"].as_str());
                    handled.extend(event["delivery_id"].as_str().map(str::to_owned));
                }
                Item::Place(cursor) => self.went_to(Some(&cursor)),
                Item::Problem(problem) => {
                    let title = problem["title"].as_str().unwrap_or("the gateway ends the stream");
                    return Err(Failure::other(title));
                }
            }
            let enough = self.listen.count.is_some_and(|count| self.written >= count);
            if enough || !events.has_more() {
                self.acknowledge(&mut handled).await?;
            }
            if enough {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn went_to(&mut self, cursor: Option<&str>) {
        if let (Some(cursor), None) = (cursor, &self.listen.consumer) {
            self.after = Some(cursor.to_owned());
        }
    }

    /// What cannot be acknowledged now comes again.
    async fn acknowledge(&self, handled: &mut Vec<String>) -> Result<(), Failure> {
        let Some(consumer) = &self.listen.consumer else {
            return Ok(());
        };
        let ids = std::mem::take(handled);
        if ids.is_empty() {
            return Ok(());
        }
        let body: Value = json!({ "consumer": consumer, "ids": ids });
        let acked = self.rest.post("/v1/events/ack", &body).await;
        acked.map(|_| ()).or_else(|failure| match failure.exit {
            crate::exit::Exit::Unreachable => Ok(()),
            _ => Err(failure),
        })
    }
}
