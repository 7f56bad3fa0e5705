//! Bounds of connections and of what goes over them.

use std::time::Duration;

use quicproquo_schemas::limits;

const MIB: usize = 1024 * 1024;

/// Bounds of connections and of what goes over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportLimits {
    /// Open handshakes above which addresses are validated first (RFC 9000 section 8.1.2).
    pub open_handshakes: usize,
    /// How long a handshake may take.
    pub handshake: Duration,
    /// Silence after which a connection is given up.
    pub idle: Duration,
    /// Silence after which the node asks whether the client is still there.
    pub keep_alive: Duration,
    /// Bidirectional streams that a client may open; the first is served, the others are refused.
    pub streams: u32,
    /// Bytes of a connection in arrival that QUIC keeps, once it has authenticated or shown a
    /// valid access token.
    pub receive_window: u32,
    /// The same before.
    pub receive_window_before_auth: u32,
    /// Bytes of a stream in arrival that QUIC keeps.
    pub stream_window: u32,
    /// Bytes that QUIC keeps until the client has acknowledged them, once it has authenticated or
    /// shown a valid access token.
    pub send_window: u32,
    /// The same before.
    pub send_window_before_auth: u32,
    /// Connections of one address that have shown nothing. An IPv6 /64 is one address.
    pub unauthenticated_per_address: usize,
    /// Connections of one address that have authenticated or shown a valid access token.
    pub authenticated_per_address: usize,
    /// Bytes of a frame before that; larger ones take `first_call_memory`.
    pub frame_before_auth: usize,
    /// Bytes of a frame after it.
    pub frame: usize,
    /// Bytes of a frame that a connection may send before, out of `first_call_memory`: base
    /// clients show their token within the first call.
    pub first_call_frame: usize,
    /// Bytes that all such frames may take together.
    pub first_call_memory: usize,
    /// How long such a frame may take to arrive.
    pub first_call_time: Duration,
    /// Calls in flight on one connection.
    pub calls_in_flight: usize,
    /// How long the next call waits for one in flight to end, before it is refused.
    pub call_patience: Duration,
    /// Bytes of answers and pushes of one connection that QUIC has not taken, above which nothing
    /// more is read from it and large answers wait.
    pub unsent: usize,
    /// The same before authentication, when answers are small.
    pub unsent_before_auth: usize,
    /// How long a client may read nothing of what waits for it.
    pub stalled: Duration,
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self {
            open_handshakes: 256,
            handshake: Duration::from_secs(5),
            idle: Duration::from_secs(30),
            keep_alive: Duration::from_secs(10),
            streams: 4,
            receive_window: 4 * 1024 * 1024,
            receive_window_before_auth: 128 * 1024,
            stream_window: 1024 * 1024,
            send_window: 2 * 1024 * 1024,
            send_window_before_auth: 64 * 1024,
            unauthenticated_per_address: 64,
            authenticated_per_address: 1024,
            frame_before_auth: limits::FRAME_BEFORE_AUTH,
            frame: limits::FRAME_AFTER_AUTH,
            first_call_frame: 6 * MIB,
            first_call_memory: 32 * MIB,
            first_call_time: Duration::from_secs(30),
            calls_in_flight: 64,
            call_patience: Duration::from_secs(2),
            unsent: 4 * MIB,
            unsent_before_auth: 64 * 1024,
            stalled: Duration::from_secs(10),
        }
    }
}
