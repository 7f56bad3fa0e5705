//! Reads messages, no faster than the peer reads answers and finishes calls.

use bytes::Bytes;
use capnp_rpc::rpc_capnp::message;
use quinn::RecvStream;
use tokio::time::{Instant, timeout_at};

use crate::frame::{Assembler, Frame};
use crate::ledger::{Ledger, Verdict};
use crate::link::{Fault, Link};
use crate::message::Incoming;
use crate::writer::lost;

/// Chunks to take from QUIC at once; each is about a packet.
const CHUNKS: usize = 16;

/// The reading half of a connection.
pub(crate) struct Reader {
    stream: RecvStream,
    link: Link,
    chunks: [Bytes; CHUNKS],
    /// Chunks that hold something: the first of them, and where they end.
    first: usize,
    end: usize,
    assembler: Assembler,
    /// A message that waits for a call to end.
    held: Option<Incoming>,
    /// When the frame in arrival must be there.
    deadline: Option<Instant>,
}

/// What can be had without waiting.
pub(crate) enum Ready {
    Message(Incoming),
    /// Nothing before more has arrived.
    Read,
    /// Nothing before the peer has read more.
    Room,
    /// Nothing before a call has ended or this time has come.
    Call(Instant),
}

impl Reader {
    pub(crate) fn new(stream: RecvStream, link: Link) -> Self {
        Self {
            stream,
            link,
            chunks: Default::default(),
            first: 0,
            end: 0,
            assembler: Assembler::default(),
            held: None,
            deadline: None,
        }
    }

    /// The next message; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> capnp::Result<Option<Incoming>> {
        loop {
            match self.ready().map_err(|fault| self.link.fail(fault))? {
                Ready::Message(message) => return Ok(Some(message)),
                Ready::Room => self.link.eased().await,
                Ready::Call(until) => {
                    let _ = timeout_at(until, self.link.eased()).await;
                }
                Ready::Read => {
                    if !self.read().await? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What is here already.
    pub(crate) fn ready(&mut self) -> Result<Ready, Fault> {
        loop {
            if self.link.is_full() {
                return Ok(Ready::Room);
            }
            let message = match self.held.take() {
                Some(message) => message,
                None => match self.assemble()? {
                    Some(frame) => Incoming(frame.into_reader()),
                    None => return Ok(Ready::Read),
                },
            };
            match self.judge(&message)? {
                Fate::Pass => return Ok(Ready::Message(message)),
                Fate::Drop => {}
                Fate::Refuse(id) => self.link.refuse(id),
                Fate::Wait(until) => {
                    self.held = Some(message);
                    return Ok(Ready::Call(until));
                }
            }
        }
    }

    fn assemble(&mut self) -> Result<Option<Frame>, Fault> {
        let frames = self.link.frames();
        while self.first < self.end {
            let chunk = &mut self.chunks[self.first];
            if let Some(frame) = self.assembler.push(chunk, &frames)? {
                self.deadline = None;
                return Ok(Some(frame));
            }
            *chunk = Bytes::new();
            self.first += 1;
        }
        Ok(None)
    }

    /// Waits for more. False at the end of the stream.
    async fn read(&mut self) -> capnp::Result<bool> {
        if self.assembler.is_lent() && self.deadline.is_none() {
            self.deadline = Some(Instant::now() + self.link.lent_frame());
        }
        let reading = self.stream.read_chunks(&mut self.chunks);
        let read = match self.deadline {
            None => reading.await,
            Some(deadline) => match timeout_at(deadline, reading).await {
                Ok(read) => read,
                Err(_) => return Err(self.link.fail(Fault::Slow)),
            },
        };
        match read.map_err(lost)? {
            Some(count) => {
                (self.first, self.end) = (0, count);
                Ok(true)
            }
            None if self.assembler.is_inside() => Err(self.link.fail(Fault::Cut)),
            None => Ok(false),
        }
    }

    fn judge(&self, message: &Incoming) -> Result<Fate, Fault> {
        let malformed = |error: capnp::Error| Fault::Malformed(error.to_string());
        let root = message.0.get_root::<message::Reader<'_>>().map_err(malformed)?;
        let mut ledger = self.link.ledger();
        let now = Instant::now;
        // What this library's schema does not know is for the RPC system to answer.
        let Ok(which) = root.which() else { return Ok(Fate::Pass) };
        match which {
            message::Call(call) => {
                let call = call.map_err(malformed)?;
                let payload = call.get_params().map_err(malformed)?;
                self.count_capabilities(payload.get_cap_table().map_err(malformed)?.len())?;
                let id = call.get_question_id();
                Self::ask(ledger.as_mut(), id, |ledger| ledger.call(id, now()))
            }
            message::Bootstrap(bootstrap) => {
                let id = bootstrap.map_err(malformed)?.get_question_id();
                Self::ask(ledger.as_mut(), id, |ledger| ledger.bootstrap(id, now()))
            }
            message::Finish(finish) => {
                let id = finish.map_err(malformed)?.get_question_id();
                let known = ledger.as_mut().is_none_or(|ledger| ledger.finish(id, now()));
                Ok(if known { Fate::Pass } else { Fate::Drop })
            }
            message::Return(answer) => {
                use capnp_rpc::rpc_capnp::return_;
                if let Ok(return_::Results(results)) = answer.map_err(malformed)?.which() {
                    let table = results.map_err(malformed)?.get_cap_table().map_err(malformed)?;
                    self.count_capabilities(table.len())?;
                }
                Ok(Fate::Pass)
            }
            _ => Ok(Fate::Pass),
        }
    }

    fn ask(
        ledger: Option<&mut Ledger>,
        id: u32,
        ask: impl FnOnce(&mut Ledger) -> Verdict,
    ) -> Result<Fate, Fault> {
        match ledger.map_or(Verdict::Pass, ask) {
            Verdict::Pass => Ok(Fate::Pass),
            Verdict::Wait(until) => Ok(Fate::Wait(until)),
            Verdict::Refuse => Ok(Fate::Refuse(id)),
            Verdict::End => Err(Fault::TooManyCalls),
        }
    }

    fn count_capabilities(&self, count: u32) -> Result<(), Fault> {
        if count > self.link.capabilities() {
            return Err(Fault::TooManyCapabilities(count));
        }
        Ok(())
    }
}

/// What becomes of a message.
enum Fate {
    Pass,
    Drop,
    Refuse(u32),
    Wait(Instant),
}
