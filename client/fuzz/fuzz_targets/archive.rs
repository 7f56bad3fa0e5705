//! See `quicproquo_client::fuzzing::archive`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quicproquo_client::fuzzing::archive;

fuzz_target!(|data: &[u8]| archive(data));
