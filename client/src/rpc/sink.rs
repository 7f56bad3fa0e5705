//! Where the node pushes rows.

use quicproquo_schemas::session_capnp::{row, sink};
use tokio::sync::{mpsc, oneshot};

use super::{Row, RowContent};

/// What the node told us through the sink.
pub(super) enum SinkEvent {
    /// Rows, and where to say that they were taken.
    Rows(Vec<Row>, oneshot::Sender<()>),
    /// Another instance, in hex.
    Displaced(String),
}

pub(super) struct RowSink {
    events: mpsc::UnboundedSender<SinkEvent>,
}

impl RowSink {
    pub(super) fn new(events: mpsc::UnboundedSender<SinkEvent>) -> Self {
        Self { events }
    }
}

impl sink::Server for RowSink {
    async fn push(
        self: capnp::capability::Rc<Self>,
        params: sink::PushParams,
        _: sink::PushResults,
    ) -> Result<(), capnp::Error> {
        let rows = rows(params.get()?.get_rows()?)?;
        let (taken, done) = oneshot::channel();
        let _ = self.events.send(SinkEvent::Rows(rows, taken));
        let _ = done.await;
        Ok(())
    }

    async fn displaced(
        self: capnp::capability::Rc<Self>,
        params: sink::DisplacedParams,
        _: sink::DisplacedResults,
    ) -> Result<(), capnp::Error> {
        let by = hex::encode(params.get()?.get_instance()?);
        let _ = self.events.send(SinkEvent::Displaced(by));
        Ok(())
    }
}

fn rows(list: capnp::struct_list::Reader<'_, row::Owned>) -> Result<Vec<Row>, capnp::Error> {
    list.iter()
        .map(|row| {
            let content = match row.which()? {
                row::Payload(data) => RowContent::Payload(data?.to_vec()),
                row::Gap(lost) => RowContent::Gap(lost),
            };
            Ok(Row { seq: row.get_seq(), content })
        })
        .collect()
}
