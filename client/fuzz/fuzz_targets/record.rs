//! See `quicproquo_client::fuzzing::record`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quicproquo_client::fuzzing::record;

fuzz_target!(|data: &[u8]| record(data));
