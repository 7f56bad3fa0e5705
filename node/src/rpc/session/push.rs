//! A Session's subscription.

use std::rc::Rc;

use futures::FutureExt;
use futures::future::LocalBoxFuture;
use quicproquo_schemas::id::Instance;
use quicproquo_schemas::session_capnp::{sink, subscription};
use tokio_util::sync::CancellationToken;

use super::SessionServer;
use crate::delivery::subscribers::{self, RowSink, Window};
use crate::rpc::params;
use crate::store::QueuedRow;

/// A running subscription.
pub(super) struct Subscribed {
    pub(super) window: Window,
    sink: sink::Client,
    cancelled: CancellationToken,
}

impl std::fmt::Debug for Subscribed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscribed").field("window", &self.window).finish_non_exhaustive()
    }
}

impl Subscribed {
    /// Ends it.
    pub(super) fn end(&self) {
        self.cancelled.cancel();
    }

    /// Ends it and tells the client who took over.
    pub(super) async fn displace(&self, by: Instance) {
        self.cancelled.cancel();
        let mut request = self.sink.displaced_request();
        request.get().set_instance(by.as_bytes());
        // A client that cannot be told is gone.
        let _ = request.send().promise.await;
    }
}

impl RowSink for sink::Client {
    fn push(&self, rows: &[QueuedRow]) -> LocalBoxFuture<'static, bool> {
        let mut request = self.push_request();
        let count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        let mut list = request.get().init_rows(count);
        for (index, row) in (0..).zip(rows) {
            params::put_row(list.reborrow().get(index), row);
        }
        request.send().promise.map(|answer| answer.is_ok()).boxed_local()
    }
}

/// The client's handle; dropping it ends the subscription.
#[derive(Debug)]
struct Handle(CancellationToken);

impl subscription::Server for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl SessionServer {
    /// Starts to push; replaces a running subscription of this Session.
    pub(super) fn start_pushing(self: &Rc<Self>, sink: sink::Client) -> subscription::Client {
        let subscribed = Rc::new(Subscribed {
            window: Window::default(),
            sink,
            cancelled: self.peer.ended.child_token(),
        });
        let former = self.subscribed.replace(Some(Rc::clone(&subscribed)));
        if let Some(former) = former {
            former.cancelled.cancel();
        }
        self.place.set_subscribed(true);
        // Fetches of this identity that wait are told.
        self.peer.shared.waiters.wake(&[self.identity]);
        let handle = Handle(subscribed.cancelled.clone());
        let session = Rc::downgrade(self);
        let shared = self.peer.shared.clone();
        let identity = self.identity;
        self.peer.tasks.spawn_local(async move {
            let Subscribed { window, sink, cancelled } = &*subscribed;
            let subscribers = &shared.metrics.rows.subscribers;
            subscribers.inc();
            if let Err(error) = subscribers::run(&shared, identity, window, sink, cancelled).await {
                tracing::error!(%error, "a subscription ended");
            }
            subscribers.dec();
            if let Some(session) = session.upgrade() {
                let mut current = session.subscribed.borrow_mut();
                if current.as_ref().is_some_and(|current| Rc::ptr_eq(current, &subscribed)) {
                    *current = None;
                    session.place.set_subscribed(false);
                }
            }
        });
        capnp_rpc::new_client(handle)
    }
}
