//! A disk fails at a write: at each one that comes in the life of a group, for one or several
//! writes, with nothing written or with all of it written and an error for an answer. The session
//! throws its memory away, believes the database, and goes on.

use quicproquo_client::simulation::Failing;
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::seed::{part, pick, say, seed};

use super::life::{ALICE, Broken, Mishap, live};

/// Each write of a life in which none fails, by member.
fn writes(seed: u64) -> Vec<(usize, u64)> {
    let lived = block_on(live(seed, None, Broken::None));
    lived.verdict.assert_clean("no write fails");
    let members = lived.writes.into_iter().enumerate();
    members.flat_map(|(member, writes)| (1..=writes).map(move |nth| (member, nth))).collect()
}

#[test]
fn who_cannot_write_goes_on_when_it_can() {
    let seed = seed("proving failing writes");
    let mut writes = writes(seed);
    let all = writes.len();
    let mut rng = part(seed, 3);
    rng.shuffle(&mut writes);
    // Every third one fails several times, so that the session waits between its tries.
    let chosen = &writes[..pick(12, all)];
    for (number, (member, first)) in chosen.iter().copied().enumerate() {
        let count = if number % 3 == 2 { rng.u64(2..=4) } else { 1 };
        for done in [false, true] {
            let mishap = Mishap::Disk(member, Failing { first, count, done });
            let verdict = block_on(live(seed, Some(mishap), Broken::None)).verdict;
            verdict.assert_clean(&format!("QPQ_SEED={seed}, {mishap:?}"));
            assert!(verdict.failures > 0, "{mishap:?} did not happen");
        }
    }
    say(&format!("{} of {all} writes fail, each in two ways, all converge", chosen.len()));
}

/// The control: whoever does not ask again under the same key says it twice.
#[test]
fn asking_anew_for_what_is_written_is_seen() {
    let seed = seed("proving failing writes control");
    let seen = writes(seed).into_iter().filter(|(member, _)| *member == ALICE).any(|(_, first)| {
        let mishap = Mishap::Disk(ALICE, Failing { first, count: 1, done: true });
        !block_on(live(seed, Some(mishap), Broken::Impatient)).verdict.faults.is_empty()
    });
    assert!(seen, "what is said twice goes unnoticed");
}
