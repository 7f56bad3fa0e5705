//! Our clock beside the node's.
//!
//! Whoever processes a commit checks the lifetime of each key package in it by its own clock
//! (openmls reads it), so members whose clocks differ by more than the margins of a package (an hour
//! before its time, 35 days before its end) may judge the same commit differently. What a wrong clock
//! does cannot be mended here, but be told before it does anything.

use super::actor::Actor;
use super::unit::Unit;
use crate::event::EventData;

/// A difference that is told, in seconds: a sixth of the smaller margin.
const TOLD: u64 = 10 * 60;

impl Actor {
    /// Tells once that the clocks differ, and again after they have agreed in between.
    pub(super) fn compare_clocks(&mut self, node_time: u64, unit: &mut Unit) {
        let ahead = ahead(unit.now_ms / 1000, node_time);
        let before = std::mem::replace(&mut self.uplink.clock_ahead, ahead);
        if ahead != 0 && before == 0 {
            tracing::warn!(
                seconds_ahead = ahead,
                "the clocks of this machine and of the node differ; set the wrong one"
            );
            self.emit(unit, None, EventData::ClockOff { ahead_secs: ahead });
        }
    }
}

/// How far our clock is ahead, when that is too far; `node` is 0 when it did not say.
fn ahead(own: u64, node: u64) -> i64 {
    if node == 0 || own.abs_diff(node) <= TOLD {
        return 0;
    }
    i64::try_from(i128::from(own) - i128::from(node)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_far_off_is_told() {
        let now = 1_800_000_000;
        for (own, expected) in
            [(now, 0), (now + TOLD, 0), (now - TOLD, 0), (now + 601, 601), (now - 601, -601)]
        {
            assert_eq!(ahead(own, now), expected);
        }
        assert_eq!(ahead(now, 0), 0, "an older node does not say");
    }
}
