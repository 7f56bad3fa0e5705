//! Many seeds: whatever happens, everybody hears everything once.

use std::thread;

use quicproquo_tests::proving::{Odds, Plan, Sabotage};
use quicproquo_tests::seed::{say, seed, setting};

#[test]
fn whatever_happens_everybody_hears_everything_once() {
    let first = seed("proving seeds");
    let runs = setting("QPQ_RUNS", 20, 1_000);
    let (mut accepted, mut losses, mut crashes) = (0, 0, 0);
    for seed in first..first + runs {
        let verdict = Plan::new(seed).run();
        verdict.assert_clean(&format!("QPQ_SEED={seed} QPQ_RUNS=1"));
        accepted += verdict.accepted;
        losses += verdict.told_losses;
        crashes += verdict.crashes;
    }
    say(&format!(
        "{runs} runs: {accepted} messages, {losses} told losses, {crashes} crashes, nothing lost \
         in silence"
    ));
}

#[test]
fn what_is_lost_is_told_and_everybody_is_there_in_the_end() {
    let first = seed("proving losses");
    let runs = setting("QPQ_RUNS", 10, 500);
    for seed in first..first + runs {
        let verdict = Plan::with_losses(seed).run();
        verdict.assert_clean(&format!("QPQ_SEED={seed} QPQ_RUNS=1"));
    }
    say(&format!("{runs} runs with losses, all told, all mended"));
}

/// Each played twice at the same time, so that the two hinder each other.
const REPLAYED: [u64; 4] = [2, 7, 9, 9420];

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in REPLAYED {
        let play = || Plan { steps: 150, ..Plan::new(seed) }.run().story;
        let (first, second) = thread::scope(|scope| {
            let other = scope.spawn(play);
            (play(), other.join().expect("it ends"))
        });
        let differs = first.iter().zip(&second).find(|(one, other)| one != other);
        assert_eq!(differs, None, "seed {seed}: {} and {} steps", first.len(), second.len());
        assert_eq!(first.len(), second.len(), "seed {seed}");
    }
}

/// The control: the node breaks a promise, and the members' logs show it.
fn is_seen(how: Sabotage) {
    let first = seed("proving control");
    // Not every row matters: a name that somebody asks for again, a commit that has lost.
    let seen = (first..first + 8).any(|seed| {
        let odds = Odds { change: 15, ..Odds::CALM };
        let plan = Plan { odds, sabotage: Some(how), ..Plan::new(seed) };
        !plan.run().faults.is_empty()
    });
    assert!(seen, "{how:?} goes unnoticed");
}

#[test]
fn a_row_that_the_node_forgets_is_seen() {
    is_seen(Sabotage::ForgetRow);
}

#[test]
fn rows_in_another_order_are_seen() {
    is_seen(Sabotage::SwapRows);
}
