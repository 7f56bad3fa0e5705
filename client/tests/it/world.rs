//! A node and clients in temporary directories, and patience.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use quicproquo_client::{
    Client, ClientConfig, Cursor, Event, EventData, GroupId, IdentityKey, NewGroup, NodeAddress,
    Options, Outgoing, Profile, Session, Suite, Trust,
};
use quicproquo_node::{Node, NodeConfig};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A hundred sessions that join at once take half a minute of a busy processor.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running node.
pub(crate) struct World {
    dir: TempDir,
    node: Option<(CancellationToken, JoinHandle<()>)>,
    addr: SocketAddr,
    fingerprint: [u8; 32],
    adjust: fn(&mut NodeConfig),
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// With a node of another configuration.
    pub(crate) async fn with(adjust: fn(&mut NodeConfig)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let mut world = Self { dir, node: None, addr: any, fingerprint: [0; 32], adjust };
        world.start().await;
        world
    }

    /// Starts the node, again on the same port.
    pub(crate) async fn start(&mut self) {
        let bind = async || {
            let mut config = NodeConfig::new(self.dir.path().join("node"), self.addr);
            (self.adjust)(&mut config);
            Node::bind(config).await
        };
        let mut bound = bind().await;
        // Meanwhile another test may have been given the port, until it ends.
        for _ in 0..300 {
            if bound.is_ok() || self.addr.port() == 0 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            bound = bind().await;
        }
        let node = bound.unwrap();
        self.addr = node.local_addr();
        self.fingerprint = node.fingerprint();
        let stop = CancellationToken::new();
        let serving = node.serve(stop.clone());
        let task = tokio::task::spawn(async move { serving.await.unwrap() });
        self.node = Some((stop, task));
    }

    pub(crate) async fn stop(&mut self) {
        let (stop, task) = self.node.take().unwrap();
        stop.cancel();
        task.await.unwrap();
    }

    pub(crate) async fn client(&self, name: &str) -> Client {
        Client::open(self.config(name)).await.unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn config(&self, name: &str) -> ClientConfig {
        let trust = Trust::Fingerprint(self.fingerprint);
        let node = NodeAddress { addr: self.addr, server_name: "localhost".into(), trust };
        ClientConfig { key_package_stock: 6, ..ClientConfig::new(self.dir.path().join(name), node) }
    }
}

/// A session with a name, ready to be invited.
pub(crate) async fn bot(client: &Client, name: &str) -> Session {
    let session = client.create(None).await.unwrap();
    session.claim_name(name).await.unwrap();
    session
}

pub(crate) fn text(body: &str) -> Outgoing {
    let body = serde_json::json!({ "body": body });
    Outgoing { kind: "text".into(), body, relates_to: None }
}

pub(crate) fn patient() -> Options {
    Options { wait: PATIENCE, ..Options::default() }
}

pub(crate) fn group_of(suite: Suite, members: &[&Session]) -> NewGroup {
    let members = members.iter().map(|session| session.identity()).collect();
    let name = "room".to_owned();
    NewGroup { name, topic: String::new(), members, suite, profile: Profile::Standard }
}

/// Creates a group and lets everybody accept.
pub(crate) async fn meet(suite: Suite, creator: &Session, others: &[&Session]) -> GroupId {
    let made = creator.create_group(group_of(suite, others), patient()).await.unwrap();
    let group = made.value.group.id;
    for other in others {
        let invited = |event: &EventData| matches!(event, EventData::InvitationReceived(invitation) if invitation.id == group);
        until(other, invited).await;
        other.accept(group.clone()).await.unwrap();
    }
    group
}

/// Reads the log from its beginning until an event fits; answers all events up to it.
pub(crate) async fn until(session: &Session, fits: impl Fn(&EventData) -> bool) -> Vec<Event> {
    let mut tail = session.tail();
    let wait = async {
        loop {
            tail.borrow_and_update();
            let events = all(session).await;
            if let Some(place) = events.iter().position(|event| fits(&event.data)) {
                return events[..=place].to_vec();
            }
            tail.changed().await.unwrap();
        }
    };
    match tokio::time::timeout(PATIENCE, wait).await {
        Ok(events) => events,
        Err(tokio::time::error::Elapsed { .. }) => {
            panic!("waited in vain; the log is {:#?}", all(session).await)
        }
    }
}

/// Waits until these texts have been received, and answers all texts received, in order.
pub(crate) async fn heard(session: &Session, last: &str) -> Vec<String> {
    let is_last = |event: &EventData| matches!(event, EventData::MessageReceived(message) if message.body["body"] == last);
    texts(&until(session, is_last).await)
}

pub(crate) fn texts(events: &[Event]) -> Vec<String> {
    let received = events.iter().filter_map(|event| match &event.data {
        EventData::MessageReceived(message) => Some(&message.body["body"]),
        _ => None,
    });
    received.map(|body| body.as_str().unwrap().to_owned()).collect()
}

pub(crate) async fn all(session: &Session) -> Vec<Event> {
    let mut events = Vec::new();
    let mut after = Cursor::default();
    loop {
        let page = session.events(after, 100).await.unwrap();
        if page.items.is_empty() {
            return events;
        }
        events.extend(page.items);
        after = page.next;
    }
}

pub(crate) async fn members(session: &Session, group: &GroupId) -> Vec<IdentityKey> {
    let group = session.group(group).await.unwrap();
    group.members.iter().map(|member| member.identity).collect()
}
