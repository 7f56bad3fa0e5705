//! A client that writes frames by hand, to send what no library would.

use std::sync::Arc;
use std::time::Duration;

use capnp::message::{Builder, HeapAllocator, ReaderOptions};
use capnp::traits::HasTypeId;
use capnp_rpc::rpc_capnp::{message, return_};
use quicproquo_schemas::close::CloseCode;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::node_capnp::node_service;
use quinn::{ConnectionError, TransportConfig};

use super::client::{TestNode, dial_with, tls};

pub(super) type Message = Builder<HeapAllocator>;

/// One connection with its stream.
pub(super) struct Raw {
    pub(super) connection: quinn::Connection,
    pub(super) send: quinn::SendStream,
    pub(super) answers: Answers,
    _endpoint: quinn::Endpoint,
}

/// The reading half.
pub(super) struct Answers {
    receive: quinn::RecvStream,
    buffer: Vec<u8>,
}

/// What became of a call: the code of its exception, or none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer(pub(super) u32, pub(super) Option<ErrorCode>);

impl Raw {
    pub(super) async fn connect(node: &TestNode) -> Self {
        Self::connect_with(node, TransportConfig::default()).await
    }

    /// Keeps no more than `window` bytes of answers that it does not read.
    pub(super) async fn with_window(node: &TestNode, window: u32) -> Self {
        let mut transport = TransportConfig::default();
        transport.stream_receive_window(window.into());
        Self::connect_with(node, transport).await
    }

    async fn connect_with(node: &TestNode, transport: TransportConfig) -> Self {
        let (endpoint, connection) = dial_with(node, tls(node), Arc::new(transport)).await.unwrap();
        let (send, receive) = connection.open_bi().await.unwrap();
        let answers = Answers { receive, buffer: Vec::new() };
        let mut raw = Self { connection, send, answers, _endpoint: endpoint };
        let mut bootstrap = Builder::new_default();
        let root = bootstrap.init_root::<message::Builder<'_>>();
        root.init_bootstrap().set_question_id(0);
        raw.message(&bootstrap).await;
        raw
    }

    pub(super) async fn message(&mut self, message: &Message) {
        let _ = self.send.write_all(&encode(message)).await;
    }

    /// The next answer, of whatever call.
    pub(super) async fn answer(&mut self) -> Answer {
        self.answers.next().await
    }

    /// Waits until the node has closed the connection.
    pub(super) async fn closed(&self) -> (CloseCode, String) {
        closed(&self.connection).await
    }
}

impl Answers {
    /// The next answer, of whatever call.
    pub(super) async fn next(&mut self) -> Answer {
        loop {
            let mut rest = self.buffer.as_slice();
            let read = capnp::serialize::read_message(&mut rest, ReaderOptions::new());
            if let Ok(read) = read {
                let root = read.get_root::<message::Reader<'_>>().unwrap();
                let answer = match root.which().unwrap() {
                    message::Return(answer) => Some(parse(answer.unwrap())),
                    _ => None,
                };
                let used = self.buffer.len() - rest.len();
                self.buffer.drain(..used);
                match answer {
                    Some(answer) => return answer,
                    None => continue,
                }
            }
            let more = self.receive.read_chunk(usize::MAX, true);
            let more = tokio::time::timeout(Duration::from_secs(20), more).await.unwrap();
            let chunk = more.unwrap().expect("the stream goes on");
            self.buffer.extend_from_slice(&chunk.bytes);
        }
    }
}

/// Waits until the node has closed a connection.
pub(super) async fn closed(connection: &quinn::Connection) -> (CloseCode, String) {
    let closed = tokio::time::timeout(Duration::from_secs(20), connection.closed());
    match closed.await.expect("the node closes the connection") {
        ConnectionError::ApplicationClosed(close) => {
            let code = CloseCode::find(close.error_code.into_inner()).unwrap();
            (code, String::from_utf8_lossy(&close.reason).into_owned())
        }
        other => panic!("{other}"),
    }
}

fn parse(answer: return_::Reader<'_>) -> Answer {
    let code = match answer.which().unwrap() {
        return_::Exception(exception) => {
            let text = exception.unwrap().get_reason().unwrap().to_string().unwrap();
            Some(ErrorCode::find(&text).unwrap_or_else(|| panic!("no code: {text}")))
        }
        _ => None,
    };
    Answer(answer.get_answer_id(), code)
}

pub(super) fn encode(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    capnp::serialize::write_message(&mut bytes, message).unwrap();
    bytes
}

/// A call of a method of `NodeService` on the bootstrap object, without parameters.
pub(super) fn call(question: u32, method: u16) -> Message {
    let mut message = Builder::new_default();
    let mut call = message.init_root::<message::Builder<'_>>().init_call();
    call.set_question_id(question);
    call.set_interface_id(node_service::Client::TYPE_ID);
    call.set_method_id(method);
    call.reborrow().init_target().init_promised_answer().set_question_id(0);
    call.init_params();
    message
}

pub(super) fn finish(question: u32) -> Message {
    let mut message = Builder::new_default();
    let root = message.init_root::<message::Builder<'_>>();
    root.init_finish().set_question_id(question);
    message
}
