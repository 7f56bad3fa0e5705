//! Proves the key on a connection and becomes its identity's live Session.

use quicproquo_core::identity::{Identity, auth_bytes};
use quicproquo_schemas::id::{Instance, SendId};
use quicproquo_schemas::limits;
use quicproquo_schemas::session_capnp::{node, session};
use quinn::Connection;

use super::RpcError;

/// What is proved.
pub(crate) struct Proof<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) incarnation: u64,
    pub(crate) instance: Instance,
    pub(crate) attempt: u64,
    /// Empty: none.
    pub(crate) invite: &'a str,
}

/// What the node answers.
pub(crate) struct Authenticated {
    pub(crate) session: session::Client,
    /// Its last send id.
    pub(crate) last_send: SendId,
    pub(crate) acked_up_to: u64,
    /// Its clock, in unix seconds; 0: it does not say.
    pub(crate) node_time: u64,
}

/// Signs over the TLS exporter.
pub(crate) async fn run(
    connection: &Connection,
    node: &node::Client,
    proof: &Proof<'_>,
) -> Result<Authenticated, RpcError> {
    let mut exporter = [0; limits::AUTH_EXPORTER_LEN];
    connection
        .export_keying_material(&mut exporter, limits::AUTH_EXPORTER_LABEL, b"")
        .map_err(|_| RpcError::Unavailable("the connection has no exporter".into()))?;
    let key = proof.identity.key();
    let signed =
        auth_bytes(&key, proof.incarnation, proof.instance.as_bytes(), proof.attempt, &exporter);

    let mut request = node.authenticate_request();
    let mut params = request.get();
    params.set_identity_key(key.as_bytes());
    params.set_incarnation(proof.incarnation);
    params.set_instance(proof.instance.as_bytes());
    params.set_attempt(proof.attempt);
    params.set_invite(proof.invite);
    params.set_signature(&proof.identity.sign(&signed));
    let response = request.send().promise.await?;
    let results = response.get()?;
    let last = results.get_last_send()?;
    let last_send = SendId { incarnation: last.get_incarnation(), counter: last.get_counter() };
    Ok(Authenticated {
        session: results.get_session()?,
        last_send,
        acked_up_to: results.get_acked_up_to(),
        node_time: results.get_time(),
    })
}
