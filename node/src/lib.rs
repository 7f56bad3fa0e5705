//! quicproquo node.
