//! What a connection leaves behind.

use std::sync::{Arc, mpsc};

use quinn::{Endpoint, TokioRuntime};
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::{HandshakeSlot, Node, Running};
use crate::connection::{self, Handover};
use crate::delivery::leases::ConnectionId;
use crate::lock::DirLock;
use crate::tests::client::{self, Client, TestNode, Who};

/// Connects, subscribes, says so and then does nothing at all until it is over: whatever the node
/// says at its end is not answered.
fn subscriber(node: &TestNode, subscribed: oneshot::Sender<()>, over: &mpsc::Receiver<()>) {
    client::run(async {
        let client = Client::connect(node).await;
        let session = client.authenticate(&Who::new(2)).await.unwrap();
        session.send(1, &[&Who::new(2)], b"a row", b"").await.unwrap();
        let rows = session.subscribe().await;
        rows.next().await;
        subscribed.send(()).unwrap();
        let _ = over.recv();
    });
}

/// The thread of a connection may end before its client and its own tasks have seen the end.
#[test]
fn a_subscribed_connection_holds_nothing_when_its_tasks_are_never_polled_again() {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let local = LocalSet::new();
    let (over, until) = mpsc::channel();
    let (shared, writer_done, directory_done) = local.block_on(&runtime, async {
        let node = Node::bind(client::config(&dir)).await.unwrap();
        let there = TestNode::elsewhere(&node);
        let Node { config, lock, socket, certificate, tls, queues, database, ops, .. } = node;
        let running = Running::start(&config, lock, queues, database, &ops).unwrap();
        let Running { shared, writer_done, directory_done, .. } = running;
        socket.set_nonblocking(true).unwrap();
        let settings = certificate.endpoint_config();
        let endpoint =
            Endpoint::new(settings, Some(tls.clone()), socket, Arc::new(TokioRuntime)).unwrap();
        let (subscribed, when) = oneshot::channel();
        std::thread::spawn(move || subscriber(&there, subscribed, &until));
        let incoming = endpoint.accept().await.unwrap();
        let handshake = HandshakeSlot::take(&shared.handshakes);
        let config = Arc::new(tls);
        let arrival = Handover { incoming, config, handshake, seat: None };
        let draining = shared.draining.clone();
        tokio::task::spawn_local(async move {
            when.await.unwrap();
            draining.cancel();
        });
        connection::serve(arrival, Arc::clone(&shared), ConnectionId(1)).await;
        (shared, writer_done, directory_done)
    });
    drop(local);
    assert_eq!(Arc::strong_count(&shared), 1);
    drop(shared);
    let _ = runtime.block_on(async { tokio::join!(writer_done, directory_done) });
    DirLock::take(dir.path()).unwrap();
    drop(over);
}
