//! One database per process; see `quicproquo_client::fuzzing::Importer::import`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use quicproquo_client::fuzzing::Importer;

static IMPORTER: LazyLock<Importer> =
    LazyLock::new(|| Importer::open(&tempfile::tempdir().expect("a directory").keep()));

fuzz_target!(|data: &[u8]| IMPORTER.import(data));
