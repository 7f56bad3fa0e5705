//! quicproquo schemas.
