//! `[node.limits]`: the bounds of connections and of what goes over them.

use std::time::Duration;

use clap::Args;
use quicproquo_node::TransportLimits;
use serde::{Deserialize, Serialize};

use crate::exit::Failure;

/// A setting as a whole number: of things, bytes or seconds.
trait Number {
    fn number(self) -> u64;
    fn of(number: u64) -> Self;
}

impl Number for usize {
    fn number(self) -> u64 {
        self as u64
    }
    fn of(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
}

impl Number for u32 {
    fn number(self) -> u64 {
        self.into()
    }
    fn of(number: u64) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
}

impl Number for Duration {
    fn number(self) -> u64 {
        self.as_secs()
    }
    fn of(number: u64) -> Self {
        Self::from_secs(number)
    }
}

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident, $flag:literal, $env:literal, $field:ident, $range:expr;)*) => {
        /// Bounds of the node's connections; `docs/limits.md` has the table.
        #[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(crate) struct LimitsLayer {
            $(
                $(#[$doc])*
                #[arg(id = $flag, long = $flag, env = $env, value_name = "N",
                      hide_short_help = true, help_heading = "Limits of the node")]
                $name: Option<u64>,
            )*
        }

        /// The result.
        #[derive(Debug, Clone, Serialize)]
        pub(crate) struct Limits {
            $($name: u64,)*
        }

        impl Limits {
            /// Defaults, then the file, then environment and flags.
            pub(crate) fn load(flags: &LimitsLayer, file: &LimitsLayer) -> Result<Self, Failure> {
                let defaults = TransportLimits::default();
                $(
                    let $name = flags.$name.or(file.$name).unwrap_or(defaults.$field.number());
                    if !$range.contains(&$name) {
                        let (least, most) = ($range.start(), $range.end());
                        return Err(Failure::usage(format!(
                            concat!("node.limits.", stringify!($name), " is {} to {}"), least, most
                        )));
                    }
                )*
                Ok(Self { $($name,)* })
            }

            /// As the node takes them.
            pub(crate) fn transport(&self) -> TransportLimits {
                TransportLimits { $($field: Number::of(self.$name),)* }
            }
        }
    };
}

const COUNT: std::ops::RangeInclusive<u64> = 1..=1_000_000;
const SECS: std::ops::RangeInclusive<u64> = 1..=3600;
/// QUIC's windows are 32 bits here.
const BYTES: std::ops::RangeInclusive<u64> = 4096..=1_u64 << 31;

limits! {
    /// Open handshakes above which addresses are validated first.
    open_handshakes, "node-limits-open-handshakes", "QPQ_NODE_LIMITS_OPEN_HANDSHAKES",
        open_handshakes, (0..=1_000_000);
    /// Seconds a handshake may take.
    handshake_secs, "node-limits-handshake-secs", "QPQ_NODE_LIMITS_HANDSHAKE_SECS",
        handshake, SECS;
    /// Seconds of silence after which a connection is given up.
    idle_secs, "node-limits-idle-secs", "QPQ_NODE_LIMITS_IDLE_SECS",
        idle, SECS;
    /// Seconds of silence after which the client is asked whether it is there.
    keep_alive_secs, "node-limits-keep-alive-secs", "QPQ_NODE_LIMITS_KEEP_ALIVE_SECS",
        keep_alive, SECS;
    /// Bidirectional streams that a client may open.
    streams, "node-limits-streams", "QPQ_NODE_LIMITS_STREAMS",
        streams, (1..=100);
    /// Bytes of a connection in arrival, after authentication.
    receive_window, "node-limits-receive-window", "QPQ_NODE_LIMITS_RECEIVE_WINDOW",
        receive_window, BYTES;
    /// Bytes of a connection in arrival, before authentication.
    receive_window_before_auth, "node-limits-receive-window-before-auth",
        "QPQ_NODE_LIMITS_RECEIVE_WINDOW_BEFORE_AUTH",
        receive_window_before_auth, BYTES;
    /// Bytes of a stream in arrival.
    stream_window, "node-limits-stream-window", "QPQ_NODE_LIMITS_STREAM_WINDOW",
        stream_window, BYTES;
    /// Bytes that wait for the client's acknowledgement, after authentication.
    send_window, "node-limits-send-window", "QPQ_NODE_LIMITS_SEND_WINDOW",
        send_window, BYTES;
    /// Bytes that wait for the client's acknowledgement, before authentication.
    send_window_before_auth, "node-limits-send-window-before-auth",
        "QPQ_NODE_LIMITS_SEND_WINDOW_BEFORE_AUTH",
        send_window_before_auth, BYTES;
    /// Connections of one address that have not authenticated.
    unauthenticated_per_address, "node-limits-unauthenticated-per-address",
        "QPQ_NODE_LIMITS_UNAUTHENTICATED_PER_ADDRESS",
        unauthenticated_per_address, COUNT;
    /// Connections of one address that have authenticated.
    authenticated_per_address, "node-limits-authenticated-per-address",
        "QPQ_NODE_LIMITS_AUTHENTICATED_PER_ADDRESS",
        authenticated_per_address, COUNT;
    /// Bytes of a frame before authentication.
    frame_before_auth, "node-limits-frame-before-auth", "QPQ_NODE_LIMITS_FRAME_BEFORE_AUTH",
        frame_before_auth, BYTES;
    /// Bytes of a frame after authentication.
    frame, "node-limits-frame", "QPQ_NODE_LIMITS_FRAME",
        frame, BYTES;
    /// Bytes of a first call that shows its token.
    first_call_frame, "node-limits-first-call-frame", "QPQ_NODE_LIMITS_FIRST_CALL_FRAME",
        first_call_frame, BYTES;
    /// Bytes that all such first calls may take together.
    first_call_memory, "node-limits-first-call-memory", "QPQ_NODE_LIMITS_FIRST_CALL_MEMORY",
        first_call_memory, (0..=1_u64 << 40);
    /// Seconds such a first call may take to arrive.
    first_call_secs, "node-limits-first-call-secs", "QPQ_NODE_LIMITS_FIRST_CALL_SECS",
        first_call_time, SECS;
    /// Calls in flight on one connection.
    calls_in_flight, "node-limits-calls-in-flight", "QPQ_NODE_LIMITS_CALLS_IN_FLIGHT",
        calls_in_flight, COUNT;
    /// Seconds the next call waits for one in flight to end.
    call_patience_secs, "node-limits-call-patience-secs", "QPQ_NODE_LIMITS_CALL_PATIENCE_SECS",
        call_patience, (0..=3600);
    /// Bytes of answers that the client has not read, above which it is not read from either.
    unsent, "node-limits-unsent", "QPQ_NODE_LIMITS_UNSENT",
        unsent, BYTES;
    /// The same bytes of unread answers, before authentication.
    unsent_before_auth, "node-limits-unsent-before-auth",
        "QPQ_NODE_LIMITS_UNSENT_BEFORE_AUTH",
        unsent_before_auth, BYTES;
    /// Seconds a client may read nothing of what waits for it.
    stalled_secs, "node-limits-stalled-secs", "QPQ_NODE_LIMITS_STALLED_SECS",
        stalled, SECS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_survives_the_way_through_the_settings() {
        let layer = LimitsLayer::default();
        let limits = Limits::load(&layer, &layer).unwrap();
        assert_eq!(limits.transport(), TransportLimits::default());
    }

    #[test]
    fn flags_are_over_the_file_and_ranges_are_named() {
        let file = LimitsLayer { idle_secs: Some(5), streams: Some(3), ..Default::default() };
        let flags = LimitsLayer { idle_secs: Some(6), ..Default::default() };
        let limits = Limits::load(&flags, &file).unwrap().transport();
        assert_eq!((limits.idle, limits.streams), (Duration::from_secs(6), 3));
        let flags = LimitsLayer { streams: Some(0), ..Default::default() };
        let failure = Limits::load(&flags, &file).unwrap_err().to_string();
        assert!(failure.contains("node.limits.streams is 1 to 100"), "{failure}");
    }
}
