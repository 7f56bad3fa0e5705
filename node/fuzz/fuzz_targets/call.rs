//! One node per process; see `quicproquo_node::fuzzing::Rig::call`.
#![no_main]

use std::cell::OnceCell;

use libfuzzer_sys::fuzz_target;
use quicproquo_node::fuzzing::Rig;

thread_local! {
    static RIG: OnceCell<Rig> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| RIG.with(|rig| {
    let rig = rig.get_or_init(|| Rig::start(&tempfile::tempdir().expect("a directory").keep()));
    assert!(!rig.call(data).is_internal(), "bad input is the caller's fault");
}));
