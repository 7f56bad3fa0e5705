//! See `quicproquo_core::fuzzing::Room::welcome`.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use quicproquo_core::fuzzing::Room;

static ROOM: LazyLock<Room> = LazyLock::new(Room::new);

fuzz_target!(|data: &[u8]| ROOM.welcome(data));
