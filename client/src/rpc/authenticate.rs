//! Proves the key on a connection and becomes its identity's live Session.

use quicproquo_core::identity::{Identity, auth_bytes};
use quicproquo_schemas::id::{Instance, SendId};
use quicproquo_schemas::limits;
use quicproquo_schemas::session_capnp::{node, session};
use quinn::Connection;

use super::RpcError;

/// What is proved.
pub(super) struct Proof<'a> {
    pub(super) identity: &'a Identity,
    pub(super) incarnation: u64,
    pub(super) instance: Instance,
    pub(super) attempt: u64,
    /// Empty: none.
    pub(super) invite: &'a str,
}

/// Signs over the TLS exporter; answers the Session, the node's last send id and ack position.
pub(super) async fn run(
    connection: &Connection,
    node: &node::Client,
    proof: &Proof<'_>,
) -> Result<(session::Client, SendId, u64), RpcError> {
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
    Ok((results.get_session()?, last_send, results.get_acked_up_to()))
}
