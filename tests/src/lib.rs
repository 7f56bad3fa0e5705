//! End-to-end tests of quicproquo.
