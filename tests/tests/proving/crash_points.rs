//! A process dies between two steps of a unit of work: at each point, for each unit that comes in
//! the life of a group, and once more while it recovers.

use quicproquo_client::simulation::Point;
use quicproquo_tests::proving::world::block_on;
use quicproquo_tests::seed::{part, pick, say, seed};

use super::life::{ALICE, Broken, Death, Mishap, live};

/// All deaths of a life without one.
fn deaths(seed: u64) -> Vec<Death> {
    let lived = block_on(live(seed, None, Broken::None));
    lived.verdict.assert_clean("nobody dies");
    let deaths = lived.deaths;
    assert!(deaths.len() >= 150, "a life has {} crash points", deaths.len());
    deaths
}

#[test]
fn who_dies_at_any_point_goes_on_where_it_was() {
    let seed = seed("proving crash points");
    let mut deaths = deaths(seed);
    let all = deaths.len();
    let mut rng = part(seed, 2);
    rng.shuffle(&mut deaths);
    // Each of the chosen ones once more with a second death while it recovers.
    let chosen = &deaths[..pick(16, all)];
    let mut died = 0;
    for (number, death) in chosen.iter().enumerate() {
        let again = (number % 2 == 1).then(|| rng.u64(1..=3));
        let death = Mishap::Death(Death { again, ..*death });
        let verdict = block_on(live(seed, Some(death), Broken::None)).verdict;
        verdict.assert_clean(&format!("QPQ_SEED={seed}, {death:?}"));
        assert!(verdict.crashes > 0, "{death:?} did not happen");
        died += verdict.crashes;
    }
    say(&format!("{} of {all} crash points, {died} deaths, all converge", chosen.len()));
}

/// The control: an acknowledgement before the commit loses what was not committed.
#[test]
fn acknowledging_before_the_commit_is_seen() {
    let seed = seed("proving crash points control");
    // The later, the more there is to lose.
    let mut deaths = deaths(seed).into_iter().rev();
    let seen = deaths.any(|death| {
        death.member == ALICE && death.point == Point::BeforeCommit && {
            let lived = block_on(live(seed, Some(Mishap::Death(death)), Broken::Pushed));
            !lived.verdict.faults.is_empty()
        }
    });
    assert!(seen, "a loss goes unnoticed");
}
