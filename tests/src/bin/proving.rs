//! Plays runs of the proving ground, as many as wanted, and tells the story of each that fails.

use std::process::ExitCode;
use std::thread;

use quicproquo_tests::proving::Plan;
use quicproquo_tests::seed::say;

/// Runs between two words about how far it is.
const TOLD_EVERY: u64 = 100;

const USAGE: &str = "proving --seed N [--count RUNS] [--losses] [--story]";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut seed, mut count, mut story, mut losses) = (None, 1, false, false);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|text| text.parse::<u64>().ok());
        match arg.as_str() {
            "--seed" => seed = number(),
            "--count" => count = number().unwrap_or(0),
            "--story" => story = true,
            "--losses" => losses = true,
            _ => seed = None,
        }
    }
    let Some(first) = seed.filter(|_| count > 0) else {
        say(USAGE);
        return ExitCode::FAILURE;
    };
    let (mut failed, mut accepted, mut told, mut crashes) = (Vec::new(), 0, 0, 0);
    for seed in first..first.saturating_add(count) {
        let plan = if losses { Plan::with_losses(seed) } else { Plan::new(seed) };
        // A panic, too, is one of this seed alone.
        let Ok(verdict) = thread::spawn(move || plan.run()).join() else {
            say(&format!("seed {seed} panics"));
            failed.push(seed);
            continue;
        };
        if !verdict.faults.is_empty() {
            say(&format!("{verdict}seed {seed} fails"));
            failed.push(seed);
        } else if story {
            say(&verdict.to_string());
        }
        accepted += verdict.accepted;
        told += verdict.told_losses;
        crashes += verdict.crashes;
        let done = seed - first + 1;
        if done.is_multiple_of(TOLD_EVERY) {
            say(&format!("{done} of {count} runs, {} failed", failed.len()));
        }
    }
    say(&format!(
        "{count} runs from seed {first}: {accepted} messages, {told} told losses, {crashes} \
         crashes; {} runs failed: {failed:?}",
        failed.len()
    ));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
