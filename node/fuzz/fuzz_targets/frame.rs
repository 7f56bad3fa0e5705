//! See `quicproquo_node::fuzzing::frame`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| quicproquo_node::fuzzing::frame(data));
