//! Rows of the queue that are kept back until all have come, and then handed over at once.

use quicproquo_core::identity::IdentityKey;
use quicproquo_schemas::limits::MAX_WINDOW_ROWS;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::BenchError;
use crate::config::ClientConfig;
use crate::rpc::{Connector, Driver, LinkEvent, LinkSpec};
use crate::{Client, Session};

/// Between the node and the sessions of a client: rows wait here, everything else passes.
#[derive(Debug)]
pub struct Dam {
    client: Client,
    waiting: watch::Receiver<usize>,
    open: watch::Sender<bool>,
}

impl Dam {
    /// Rows that a node pushes before the first is acknowledged: more do not come.
    pub const ROWS: usize = MAX_WINDOW_ROWS as usize;

    /// Opens a client behind a dam.
    ///
    /// # Errors
    /// When the client cannot be opened.
    pub async fn open(config: ClientConfig) -> Result<Self, BenchError> {
        let connector = Connector::new(&config.node).map_err(BenchError::new)?;
        let node = Driver::start(connector).map_err(BenchError::new)?;
        let (links, specs) = mpsc::unbounded_channel();
        let (count, waiting) = watch::channel(0);
        let (open, opened) = watch::channel(false);
        let tasks = TaskTracker::new();
        tasks.spawn(pass_links(specs, node, count, opened, tasks.clone()));
        let client = Client::open_to(config, Driver::to(links)).await.map_err(BenchError::new)?;
        Ok(Self { client, waiting, open })
    }

    /// Waits until so many rows are here, at most [`Dam::ROWS`].
    ///
    /// # Errors
    /// When the links are gone.
    pub async fn fill(&mut self, rows: usize) -> Result<(), BenchError> {
        self.waiting.wait_for(|waiting| *waiting >= rows).await.map_err(BenchError::new)?;
        Ok(())
    }

    /// Lets all rows go, and those that still come; answers when the log of a session has grown by
    /// so many events.
    ///
    /// # Errors
    /// When the session has ended.
    pub async fn release(&self, session: &Session, events: u64) -> Result<(), BenchError> {
        let mut tail = session.tail();
        let last = tail.borrow_and_update().0 + events;
        self.open.send_replace(true);
        tail.wait_for(|tail| tail.0 >= last).await.map_err(BenchError::new)?;
        Ok(())
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// A session of the client.
    ///
    /// # Errors
    /// When it has no session of this identity.
    pub fn session(&self, identity: &IdentityKey) -> Result<Session, BenchError> {
        self.client.session(identity).ok_or_else(|| BenchError::new("no such session"))
    }
}

async fn pass_links(
    mut specs: mpsc::UnboundedReceiver<LinkSpec>,
    node: Driver,
    count: watch::Sender<usize>,
    opened: watch::Receiver<bool>,
    tasks: TaskTracker,
) {
    while let Some(mut spec) = specs.recv().await {
        let (events, held) = mpsc::channel(spec.events.max_capacity());
        let session = std::mem::replace(&mut spec.events, events);
        tasks.spawn(pass_events(held, session, count.clone(), opened.clone()));
        node.open(spec);
    }
}

async fn pass_events(
    mut events: mpsc::Receiver<LinkEvent>,
    session: mpsc::Sender<LinkEvent>,
    count: watch::Sender<usize>,
    mut opened: watch::Receiver<bool>,
) {
    let mut held = Vec::new();
    while !*opened.borrow() {
        tokio::select! {
            event = events.recv() => match event {
                Some(LinkEvent::Rows(rows)) => {
                    count.send_modify(|count| *count += rows.len());
                    held.push(LinkEvent::Rows(rows));
                }
                Some(event) => drop(session.send(event).await),
                None => return,
            },
            changed = opened.changed() => if changed.is_err() { return },
        }
    }
    for event in held {
        let _ = session.send(event).await;
    }
    while let Some(event) = events.recv().await {
        if session.send(event).await.is_err() {
            return;
        }
    }
}
