//! quicproquo gateway.
