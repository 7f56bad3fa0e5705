//! See `quicproquo_client::fuzzing::sealed_row`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quicproquo_client::fuzzing::sealed_row;

fuzz_target!(|data: &[u8]| sealed_row(data));
