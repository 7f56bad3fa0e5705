//! See `quicproquo_core::fuzzing::content`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quicproquo_core::fuzzing::content;

fuzz_target!(|data: &[u8]| content(data));
