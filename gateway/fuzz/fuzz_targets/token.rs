//! See `quicproquo_gateway::fuzzing::token`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| quicproquo_gateway::fuzzing::token(data));
