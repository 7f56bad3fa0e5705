//! quicproquo client.
