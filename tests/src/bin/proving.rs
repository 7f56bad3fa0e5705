//! Plays runs of the proving ground and tells the story of one that fails.

use std::process::ExitCode;

use quicproquo_tests::proving::Plan;
use quicproquo_tests::seed::say;

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
    let Some(seed) = seed.filter(|_| count > 0) else {
        say(USAGE);
        return ExitCode::FAILURE;
    };
    for seed in seed..seed.saturating_add(count) {
        let plan = if losses { Plan::with_losses(seed) } else { Plan::new(seed) };
        let verdict = plan.run();
        if !verdict.faults.is_empty() {
            say(&format!("{verdict}seed {seed} fails"));
            return ExitCode::FAILURE;
        }
        if story {
            say(&verdict.to_string());
        }
        let (accepted, told) = (verdict.accepted, verdict.told_losses);
        let (crashes, failures) = (verdict.crashes, verdict.failures);
        say(&format!(
            "seed {seed}: {accepted} messages, {told} told losses, {crashes} crashes, {failures} \
             failed writes"
        ));
    }
    ExitCode::SUCCESS
}
