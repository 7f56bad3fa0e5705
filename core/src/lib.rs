//! quicproquo core.
