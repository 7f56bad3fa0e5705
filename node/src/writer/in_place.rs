//! When the thread that asks for a commit does it by itself.
//!
//! A push at low load then crosses no thread; but while the disk syncs, its thread does nothing
//! else. So it happens at low load only, and after a slow commit, wherever it was done, not for a
//! long time: whatever the disk does, a thread loses no more than a small part of its time.

use std::time::Duration;

/// Time of a commit up to which it is fast.
const FAST: Duration = Duration::from_millis(1);
/// Rest after a fast commit. What comes sooner is better committed together.
const REST: Duration = Duration::from_millis(1);
/// Rest after a slow commit, in times of what it took.
const SLOW: u32 = 50;

/// What the last commits leave to the next one. Times are since the start of the writer.
#[derive(Debug)]
pub(super) struct InPlace {
    /// From when on a commit may be done in place.
    from: Duration,
}

impl Default for InPlace {
    fn default() -> Self {
        Self { from: REST }
    }
}

impl InPlace {
    /// Whether a commit may hold up its caller's thread now.
    pub(super) fn may_begin(&self, now: Duration) -> bool {
        now >= self.from
    }

    /// A commit has ended now, wherever it was done.
    pub(super) fn committed(&mut self, took: Duration, now: Duration) {
        let rest = if took <= FAST { REST } else { took.saturating_mul(SLOW) };
        self.from = self.from.max(now.saturating_add(rest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(time: u64) -> Duration {
        Duration::from_millis(time)
    }

    #[test]
    fn a_fast_commit_is_followed_by_a_short_rest() {
        let mut in_place = InPlace::default();
        assert!(in_place.may_begin(ms(10)));
        in_place.committed(FAST, ms(10));
        assert!(!in_place.may_begin(ms(10)));
        assert!(in_place.may_begin(ms(10) + REST));
    }

    #[test]
    fn a_slow_commit_is_followed_by_a_long_rest_that_fast_ones_do_not_shorten() {
        let mut in_place = InPlace::default();
        in_place.committed(ms(100), ms(100));
        in_place.committed(FAST, ms(101));
        assert!(!in_place.may_begin(ms(5_099)));
        assert!(in_place.may_begin(ms(5_100)));
    }

    #[test]
    fn a_disk_that_is_always_slow_takes_a_small_part_of_the_time() {
        for took in [ms(2), ms(30), ms(1_000)] {
            let (mut in_place, mut now, mut held_up) = (InPlace::default(), ms(1), ms(0));
            for _ in 0..100 {
                if in_place.may_begin(now) {
                    held_up += took;
                }
                now += took;
                in_place.committed(took, now);
                // Somebody asks again soon after the rest, when nobody else has asked meanwhile.
                now = in_place.from;
            }
            assert!(held_up * 50 <= now, "{held_up:?} of {now:?}");
        }
    }
}
