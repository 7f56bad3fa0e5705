//! What reader, writer, messages and the owner of a connection share. All of it lives on one
//! thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use capnp::message::{Builder, HeapAllocator, ReaderSegments};
use capnp_rpc::rpc_capnp::{exception, message, return_};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::frame::{FrameError, FrameLimit};
use crate::ledger::{CallLimit, Ledger};

/// A message of this size gets a chunk of its own; smaller ones share one.
const OWN_CHUNK: usize = 32 * 1024;

/// What one end allows the other.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Size of incoming frames; see [`Link::set_frame_limit`].
    pub frames: FrameLimit,
    /// The peer's calls; `None`: as many as it likes.
    pub calls: Option<CallLimit>,
    /// Text of the exception that refuses a call over the limit.
    pub refusal: String,
    /// Capabilities in one message.
    pub capabilities: u32,
    /// Bytes written but not yet taken by QUIC above which nothing more is read.
    pub unsent_bytes: usize,
    /// How long QUIC may take nothing of what is written.
    pub stalled: Duration,
    /// How long a frame may take to arrive whose memory comes out of a shared budget.
    pub lent_frame: Duration,
}

/// Why this end has ended a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A frame that is not taken.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The stream ended inside a frame.
    #[error("the stream ended inside a frame")]
    Cut,
    /// A large frame came too slowly.
    #[error("a large frame took too long to arrive")]
    Slow,
    /// What is in a frame is no message of Cap'n Proto RPC.
    #[error("not a message: {0}")]
    Malformed(String),
    /// Too many capabilities in one message.
    #[error("{0} capabilities in a message")]
    TooManyCapabilities(u32),
    /// The peer goes on calling though it is refused.
    #[error("too many calls")]
    TooManyCalls,
    /// The peer does not read what it is sent.
    #[error("what was sent is not read")]
    Stalled,
}

/// Messages on their way out, already encoded.
#[derive(Debug, Default)]
struct Outbox {
    chunks: Vec<Bytes>,
    tail: Vec<u8>,
    /// Size of the last tail, a guess for the next.
    usual: usize,
    /// Set once nothing more comes.
    closing: Option<capnp::Result<()>>,
}

/// One connection's shared state; clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Link(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    refusal: String,
    capabilities: u32,
    unsent_limit: Cell<usize>,
    pub(crate) stalled: Duration,
    pub(crate) lent_frame: Duration,
    frames: RefCell<FrameLimit>,
    ledger: RefCell<Option<Ledger>>,
    outbox: RefCell<Outbox>,
    unsent: Cell<usize>,
    fault: RefCell<Option<Fault>>,
    /// Wakes the writer.
    written: Notify,
    /// Wakes the reader: there is room again, or a call has ended.
    eased: Notify,
    /// Wakes who waits for room.
    room: Notify,
    /// One large answer at a time.
    turns: Semaphore,
    result: RefCell<capnp::Result<()>>,
    ended: CancellationToken,
}

impl Link {
    pub(crate) fn new(rules: Rules) -> Self {
        Self(Rc::new(Inner {
            refusal: rules.refusal,
            capabilities: rules.capabilities,
            unsent_limit: Cell::new(rules.unsent_bytes),
            stalled: rules.stalled,
            lent_frame: rules.lent_frame,
            frames: RefCell::new(rules.frames),
            ledger: RefCell::new(rules.calls.map(|limit| Ledger::new(limit, Instant::now()))),
            outbox: RefCell::default(),
            unsent: Cell::new(0),
            fault: RefCell::new(None),
            written: Notify::new(),
            eased: Notify::new(),
            room: Notify::new(),
            turns: Semaphore::new(1),
            result: RefCell::new(Ok(())),
            ended: CancellationToken::new(),
        }))
    }

    /// Sets the limit of frames that begin from now on.
    pub fn set_frame_limit(&self, limit: FrameLimit) {
        *self.0.frames.borrow_mut() = limit;
    }

    /// Sets [`Rules::unsent_bytes`] anew, to more than before.
    pub fn raise_unsent_limit(&self, bytes: usize) {
        self.0.unsent_limit.set(bytes);
        self.0.eased.notify_one();
        self.0.room.notify_one();
    }

    /// Why this end has ended the connection, if it has.
    pub fn fault(&self) -> Option<Fault> {
        self.0.fault.borrow().clone()
    }

    /// Bytes that QUIC has not yet taken.
    pub fn unsent(&self) -> usize {
        self.0.unsent.get()
    }

    /// Calls of the peer in flight.
    pub fn calls_in_flight(&self) -> usize {
        self.0.ledger.borrow().as_ref().map_or(0, Ledger::in_flight)
    }

    /// Waits until a large answer may be made: what is unsent is below its limit, and nobody else
    /// is making one. The answer may then exceed the limit. Hold the turn until it is written.
    pub async fn turn(&self) -> Turn<'_> {
        let turn = self.0.turns.acquire().await;
        while self.is_full() {
            self.0.room.notified().await;
        }
        Turn { _permit: turn.ok() }
    }

    /// Ends the stream after what is written. [`Link::ended`] says when.
    pub fn close(&self) {
        self.shut(Ok(()));
    }

    /// Waits until the peer has acknowledged all that was written, or cannot any more.
    pub async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    pub(crate) fn stalled(&self) -> Duration {
        self.0.stalled
    }

    pub(crate) fn lent_frame(&self) -> Duration {
        self.0.lent_frame
    }

    pub(crate) fn frames(&self) -> std::cell::Ref<'_, FrameLimit> {
        self.0.frames.borrow()
    }

    pub(crate) fn ledger(&self) -> std::cell::RefMut<'_, Option<Ledger>> {
        self.0.ledger.borrow_mut()
    }

    pub(crate) fn capabilities(&self) -> u32 {
        self.0.capabilities
    }

    /// Notes why the connection ends; the first reason stays.
    pub(crate) fn fail(&self, fault: Fault) -> capnp::Error {
        let error = capnp::Error::failed(fault.to_string());
        self.0.fault.borrow_mut().get_or_insert(fault);
        error
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.unsent.get() >= self.0.unsent_limit.get()
    }

    /// Waits until the reader has reason to look again.
    pub(crate) async fn eased(&self) {
        self.0.eased.notified().await;
    }

    /// Encodes a message behind those that wait.
    pub(crate) fn write(&self, message: &Builder<HeapAllocator>) {
        self.note_return(message);
        let mut outbox = self.0.outbox.borrow_mut();
        if outbox.closing.is_some() {
            return;
        }
        let bytes = outbox.put(message);
        drop(outbox);
        self.0.unsent.set(self.0.unsent.get() + bytes);
        self.0.written.notify_one();
    }

    /// Answers a call that is not let in.
    pub(crate) fn refuse(&self, id: u32) {
        let mut refusal = Builder::new_default();
        let mut answer = refusal.init_root::<message::Builder<'_>>().init_return();
        answer.set_answer_id(id);
        let mut exception = answer.init_exception();
        exception.set_reason(self.0.refusal.as_str());
        exception.set_type(exception::Type::Overloaded);
        self.write(&refusal);
    }

    /// Nothing more is written; the writer ends with `result`.
    pub(crate) fn shut(&self, result: capnp::Result<()>) {
        self.0.outbox.borrow_mut().closing.get_or_insert(result);
        self.0.written.notify_one();
    }

    /// All that waits to be written. `Err`: nothing does, and nothing will.
    pub(crate) async fn batch(&self) -> Result<Vec<Bytes>, capnp::Result<()>> {
        loop {
            {
                let mut outbox = self.0.outbox.borrow_mut();
                let batch = outbox.take();
                if !batch.is_empty() {
                    return Ok(batch);
                }
                if let Some(result) = &outbox.closing {
                    return Err(result.clone());
                }
            }
            self.0.written.notified().await;
        }
    }

    /// QUIC has taken so many bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        let was_full = self.is_full();
        self.0.unsent.set(self.0.unsent.get().saturating_sub(bytes));
        if was_full && !self.is_full() {
            self.0.eased.notify_one();
            self.0.room.notify_one();
        }
    }

    /// The writer has ended.
    pub(crate) fn end(&self, result: capnp::Result<()>) {
        if !self.0.ended.is_cancelled() {
            *self.0.result.borrow_mut() = result;
            self.0.ended.cancel();
        }
    }

    pub(crate) fn result(&self) -> capnp::Result<()> {
        self.0.result.borrow().clone()
    }

    fn note_return(&self, message: &Builder<HeapAllocator>) {
        let mut ledger = self.0.ledger.borrow_mut();
        let Some(ledger) = ledger.as_mut() else { return };
        let Ok(message) = message.get_root_as_reader::<message::Reader<'_>>() else { return };
        if let Ok(message::Return(Ok(answer))) = message.which() {
            let answer: return_::Reader<'_> = answer;
            let (id, no_finish) = (answer.get_answer_id(), answer.get_no_finish_needed());
            if ledger.returned(id, no_finish, Instant::now()) {
                self.0.eased.notify_one();
            }
        }
    }
}

/// The right to make one large answer, until it is dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    _permit: Option<SemaphorePermit<'a>>,
}

impl Outbox {
    /// Encodes a message (capnproto.org/encoding.html) and answers its size.
    fn put(&mut self, message: &Builder<HeapAllocator>) -> usize {
        let segments = message.get_segments_for_output();
        let table = (4 * (1 + segments.len())).next_multiple_of(8);
        let size = table + segments.iter().map(|segment| segment.len()).sum::<usize>();
        if size >= OWN_CHUNK || self.tail.len() >= OWN_CHUNK {
            self.seal();
        }
        if self.tail.capacity() == 0 {
            self.tail.reserve_exact(size.max(self.usual));
        }
        let start = self.tail.len();
        let last = u32::try_from(segments.len() - 1).unwrap_or(u32::MAX);
        self.tail.extend_from_slice(&last.to_le_bytes());
        for segment in segments.iter() {
            let words = u32::try_from(segment.len() / 8).unwrap_or(u32::MAX);
            self.tail.extend_from_slice(&words.to_le_bytes());
        }
        self.tail.resize(start + table, 0);
        for segment in segments.iter() {
            self.tail.extend_from_slice(segment);
        }
        if size >= OWN_CHUNK {
            self.seal();
        }
        size
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.usual = self.tail.len().min(OWN_CHUNK);
        self.seal();
        std::mem::take(&mut self.chunks)
    }
}
