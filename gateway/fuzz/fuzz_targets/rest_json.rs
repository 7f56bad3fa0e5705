//! See `quicproquo_gateway::fuzzing::rest_json`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| quicproquo_gateway::fuzzing::rest_json(data));
