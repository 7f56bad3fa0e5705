//! See `quicproquo_client::fuzzing::master_key`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quicproquo_client::fuzzing::master_key;

fuzz_target!(|data: &[u8]| master_key(data));
