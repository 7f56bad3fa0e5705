//! Counts the calls of a capability, whatever its methods are.

use std::sync::Arc;

use capnp::MessageSize;
use capnp::any_pointer;
use capnp::capability::{FromClientHook, Promise, Request};
use capnp::private::capability::{ClientHook, ParamsHook, ResultsHook};
use capnp::traits::HasTypeId;
use quicproquo_schemas::code::ErrorCode;
use quicproquo_schemas::node_capnp::node_service;
use quicproquo_schemas::session_capnp::{node, session};

use super::errors::Fault;
use crate::metrics::calls::{CallMetrics, Outcome};

/// Interfaces whose calls are counted, each with its methods by ordinal.
const INTERFACES: [(u64, &[&str]); 3] = [
    (
        <node_service::Client as HasTypeId>::TYPE_ID,
        &[
            "uploadKeyPackage",
            "fetchKeyPackage",
            "enqueue",
            "fetch",
            "fetchWait",
            "health",
            "uploadHybridKey",
            "fetchHybridKey",
        ],
    ),
    (<node::Client as HasTypeId>::TYPE_ID, &["authenticate", "resolveName", "namesOf"]),
    (
        <session::Client as HasTypeId>::TYPE_ID,
        &[
            "accessToken",
            "publishKeyPackages",
            "claimKeyPackages",
            "keyPackageStock",
            "send",
            "sendResult",
            "subscribe",
            "ack",
            "peek",
            "claimName",
            "putBlob",
            "getBlob",
            "blobSize",
            "releaseBlob",
            "deleteIdentity",
        ],
    ),
];

/// Names of all methods, in the order of their indices; the last one is for calls of what is not
/// there.
pub(crate) fn methods() -> impl Iterator<Item = &'static str> {
    INTERFACES.into_iter().flat_map(|(_, methods)| methods).copied().chain(["other"])
}

fn index(interface: u64, ordinal: u16) -> usize {
    let mut first = 0;
    for (id, methods) in INTERFACES {
        if id == interface && usize::from(ordinal) < methods.len() {
            return first + usize::from(ordinal);
        }
        first += methods.len();
    }
    INTERFACES.iter().map(|(_, methods)| methods.len()).sum()
}

/// The same capability, with its calls counted.
pub(super) fn metered<C: FromClientHook>(client: C, calls: &Arc<CallMetrics>) -> C {
    C::new(Box::new(Metered { inner: client.into_client_hook(), calls: Arc::clone(calls) }))
}

struct Metered {
    inner: Box<dyn ClientHook>,
    calls: Arc<CallMetrics>,
}

impl ClientHook for Metered {
    fn add_ref(&self) -> Box<dyn ClientHook> {
        Box::new(Self { inner: self.inner.add_ref(), calls: Arc::clone(&self.calls) })
    }

    fn new_call(
        &self,
        interface_id: u64,
        method_id: u16,
        size_hint: Option<MessageSize>,
    ) -> Request<any_pointer::Owned, any_pointer::Owned> {
        self.inner.new_call(interface_id, method_id, size_hint)
    }

    fn call(
        &self,
        interface_id: u64,
        method_id: u16,
        params: Box<dyn ParamsHook>,
        results: Box<dyn ResultsHook>,
    ) -> Promise<(), capnp::Error> {
        let timer = self.calls.begin(index(interface_id, method_id));
        // Called before the first poll: calls must start in the order in which they came.
        let promise = self.inner.call(interface_id, method_id, params, results);
        Promise::from_future(async move {
            let result = promise.await;
            timer.end(outcome(&result));
            result.map_err(coded)
        })
    }

    fn get_brand(&self) -> usize {
        self.inner.get_brand()
    }

    fn get_ptr(&self) -> usize {
        self.inner.get_ptr()
    }

    fn get_resolved(&self) -> Option<Box<dyn ClientHook>> {
        self.inner.get_resolved()
    }

    fn when_more_resolved(&self) -> Option<Promise<Box<dyn ClientHook>, capnp::Error>> {
        self.inner.when_more_resolved()
    }

    fn when_resolved(&self) -> Promise<(), capnp::Error> {
        self.inner.when_resolved()
    }
}

fn outcome(result: &Result<(), capnp::Error>) -> Outcome {
    match result {
        Ok(()) => Outcome::Ok,
        Err(error) => code(&error.extra).map_or(Outcome::Malformed, Outcome::Code),
    }
}

/// Parameters that are no message of the schema are found out by the Cap'n Proto library, whose
/// errors have no code.
fn coded(error: capnp::Error) -> capnp::Error {
    use capnp::ErrorKind::{Disconnected, Overloaded, Unimplemented};
    let is_ours = code(&error.extra).is_some();
    if is_ours || matches!(error.kind, Disconnected | Overloaded | Unimplemented) {
        return error;
    }
    Fault::new(ErrorCode::BadRequest, error).into()
}

/// The code at the start of our own exceptions, `E0NN NAME: text`, without formatting all codes.
fn code(text: &str) -> Option<ErrorCode> {
    let number: u16 = text.strip_prefix('E')?.get(..3)?.parse().ok()?;
    ErrorCode::ALL.iter().copied().find(|code| code.number() == number)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Methods of an interface by ordinal, as its schema names them.
    fn in_schema(file: &str, interface: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/capnp").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let start = text.find(&format!("interface {interface} ")).unwrap();
        let body = &text[start..];
        let body = &body[..body.find("\n}").unwrap()];
        let methods: Vec<_> = body
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .filter_map(|line| {
                let (name, rest) = line.trim_start().split_once(" @")?;
                let (ordinal, _) = rest.split_once(" (")?;
                Some((ordinal.parse::<usize>().ok()?, name.to_owned()))
            })
            .collect();
        assert!(methods.iter().enumerate().all(|(at, (ordinal, _))| at == *ordinal));
        methods.into_iter().map(|(_, name)| name).collect()
    }

    #[test]
    fn every_method_of_the_schema_is_counted_by_its_name() {
        let schemas = [
            ("node.capnp", "NodeService"),
            ("session.capnp", "Node"),
            ("session.capnp", "Session"),
        ];
        let all: Vec<_> = methods().collect();
        for ((file, interface), (id, names)) in schemas.into_iter().zip(INTERFACES) {
            assert_eq!(in_schema(file, interface), names, "{interface}");
            for (ordinal, name) in (0..).zip(names) {
                assert_eq!(all[index(id, ordinal)], *name);
            }
            assert_eq!(all[index(id, 999)], "other");
        }
        assert_eq!(all[index(7, 0)], "other");
    }

    #[test]
    fn our_own_exceptions_are_known_by_their_code() {
        for known in ErrorCode::ALL {
            let error = capnp::Error::from(Fault::new(*known, "why"));
            assert_eq!(outcome(&Err(error)), Outcome::Code(*known));
        }
        for text in ["", "E", "E1", "E999 X: y", "Method not implemented.", "Eäö"] {
            let error = capnp::Error::failed(text.to_owned());
            assert_eq!(outcome(&Err(error)), Outcome::Malformed, "{text}");
        }
    }
}
