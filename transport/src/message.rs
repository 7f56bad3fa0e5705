//! Messages as capnp-rpc wants them.

use std::rc::Rc;

use capnp::capability::Promise;
use capnp::message::{Builder, HeapAllocator, Reader};

use crate::frame::Frame;
use crate::link::Link;

/// A message from the peer.
pub(crate) struct Incoming(pub(crate) Reader<Frame>);

impl capnp_rpc::IncomingMessage for Incoming {
    fn get_body(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.0.get_root()
    }
}

/// A message for the peer.
pub(crate) struct Outgoing {
    pub(crate) message: Builder<HeapAllocator>,
    pub(crate) link: Link,
}

impl capnp_rpc::OutgoingMessage for Outgoing {
    fn get_body(&mut self) -> capnp::Result<capnp::any_pointer::Builder<'_>> {
        self.message.get_root()
    }

    fn get_body_as_reader(&self) -> capnp::Result<capnp::any_pointer::Reader<'_>> {
        self.message.get_root_as_reader()
    }

    /// The promise is done at once: what is unsent is bounded by the [`Link`], not by who calls.
    fn send(self: Box<Self>) -> (Promise<(), capnp::Error>, Rc<Builder<HeapAllocator>>) {
        self.link.write(&self.message);
        (Promise::ok(()), Rc::new(self.message))
    }

    fn take(self: Box<Self>) -> Builder<HeapAllocator> {
        self.message
    }

    fn size_in_words(&self) -> usize {
        self.message.size_in_words()
    }
}
