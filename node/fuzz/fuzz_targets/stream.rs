//! One node per process; see `quicproquo_node::fuzzing::Rig::stream`.
#![no_main]

use std::cell::OnceCell;
use std::mem::ManuallyDrop;

use libfuzzer_sys::fuzz_target;
use quicproquo_node::fuzzing::Rig;

thread_local! {
    static RIG: OnceCell<ManuallyDrop<Rig>> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| RIG.with(|rig| {
    // Never dropped: what it needs for that is gone when the thread ends.
    let rig = rig.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a directory").keep();
        ManuallyDrop::new(Rig::start(&dir))
    });
    rig.stream(data);
}));
