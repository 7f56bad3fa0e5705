//! The `VatNetwork` of one connection, beside capnp-rpc's own `twoparty`.

use std::cell::RefCell;
use std::rc::Rc;

use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator};
use capnp_rpc::rpc_twoparty_capnp::Side;
use capnp_rpc::{IncomingMessage, OutgoingMessage};
use quinn::{RecvStream, SendStream};

use crate::link::{Link, Rules};
use crate::message::{Incoming, Outgoing};
use crate::reader::{Reader, Ready};
use crate::writer::Writer;

/// Most words that a first segment is made of at once: capnp-rpc asks for 1,024 for each request,
/// most of which stay empty.
const FIRST_SEGMENT: u32 = 256;

/// Two parties on one stream, one of which is this end.
pub struct Network {
    side: Side,
    link: Link,
    connection: Connection,
    writer: Option<Writer>,
}

impl std::fmt::Debug for Network {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Network").field("link", &self.link).finish_non_exhaustive()
    }
}

/// Makes the parts of a connection: the network for an `RpcSystem`, and the owner's handle. Must be
/// called inside a tokio runtime with time enabled.
pub fn open(send: SendStream, receive: RecvStream, side: Side, rules: Rules) -> (Network, Link) {
    let link = Link::new(rules);
    let reader = Rc::new(RefCell::new(Some(Reader::new(receive, link.clone()))));
    let connection = Connection { side, link: link.clone(), reader };
    let writer = Some(Writer::new(send, link.clone()));
    (Network { side, link: link.clone(), connection, writer }, link)
}

#[derive(Clone)]
struct Connection {
    side: Side,
    link: Link,
    /// Out while somebody waits for a message.
    reader: Rc<RefCell<Option<Reader>>>,
}

impl capnp_rpc::Connection<Side> for Connection {
    fn get_peer_vat_id(&self) -> Side {
        match self.side {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    fn new_outgoing_message(&mut self, first_segment_words: u32) -> Box<dyn OutgoingMessage> {
        let words = first_segment_words.min(FIRST_SEGMENT);
        let allocator = HeapAllocator::new().first_segment_words(words);
        Box::new(Outgoing { message: Builder::new(allocator), link: self.link.clone() })
    }

    fn receive_incoming_message(
        &mut self,
    ) -> Promise<Option<Box<dyn IncomingMessage>>, capnp::Error> {
        let Some(mut reader) = self.reader.borrow_mut().take() else {
            return Promise::err(capnp::Error::failed("a message is being waited for".into()));
        };
        match reader.ready() {
            Ok(Ready::Message(message)) => {
                *self.reader.borrow_mut() = Some(reader);
                return Promise::ok(Some(Box::new(message)));
            }
            Ok(_) => {}
            Err(fault) => return Promise::err(self.link.fail(fault)),
        }
        let home = Rc::clone(&self.reader);
        Promise::from_future(async move {
            let message = reader.next().await?;
            *home.borrow_mut() = Some(reader);
            Ok(message.map(|message: Incoming| Box::new(message) as Box<dyn IncomingMessage>))
        })
    }

    /// What `result` says is told by `drive_until_shutdown`, and so by the `RpcSystem`. capnp-rpc
    /// prints an error of this promise on standard output.
    fn shutdown(&mut self, result: capnp::Result<()>) -> Promise<(), capnp::Error> {
        self.link.shut(result);
        let link = self.link.clone();
        Promise::from_future(async move {
            link.ended().await;
            Ok(())
        })
    }
}

impl capnp_rpc::VatNetwork<Side> for Network {
    /// capnp-rpc asks for the connection here and in `accept`, and uses one of them.
    fn connect(&mut self, host_id: Side) -> Option<Box<dyn capnp_rpc::Connection<Side>>> {
        (host_id != self.side).then(|| Box::new(self.connection.clone()) as _)
    }

    fn accept(&mut self) -> Promise<Box<dyn capnp_rpc::Connection<Side>>, capnp::Error> {
        Promise::ok(Box::new(self.connection.clone()))
    }

    /// Writes, after each round in which the RPC system has handled what was there.
    fn drive_until_shutdown(&mut self) -> Promise<(), capnp::Error> {
        let (writer, link) = (self.writer.take(), self.link.clone());
        Promise::from_future(async move {
            if let Some(writer) = writer {
                writer.run().await;
            }
            link.ended().await;
            link.result()
        })
    }
}
