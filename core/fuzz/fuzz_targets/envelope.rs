//! See `quicproquo_core::fuzzing::envelope`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quicproquo_core::fuzzing::envelope;

fuzz_target!(|data: &[u8]| envelope(data));
