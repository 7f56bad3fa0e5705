//! Development tasks: `cargo xtask codegen | openapi | sdk | reference | tidy | ci | loom | fuzz | mutants | long`.

mod book;
mod ci;
mod codegen;
mod install;
mod isolated;
mod long;
mod mutants;
mod openapi;
mod problems;
mod reference;
mod sdk;
mod shell;
mod sources;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of quicproquo")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate the Cap'n Proto modules.
    Codegen {
        /// Only compare; fail when the checked-in files are stale.
        #[arg(long)]
        check: bool,
    },
    /// Write the descriptions in `openapi/` from the gateway's code.
    Openapi {
        /// Only compare; fail when the checked-in files are stale.
        #[arg(long)]
        check: bool,
    },
    /// Generate the clients beneath the SDKs from `openapi/gateway.json`.
    Sdk {
        /// Only compare; fail when the checked-in files are stale.
        #[arg(long)]
        check: bool,
    },
    /// Write the tables of the documents from what the program knows.
    Reference {
        /// Only compare; fail when a page is stale.
        #[arg(long)]
        check: bool,
    },
    /// Build the documentation as a site, in `target/book`.
    Book,
    /// Check the crate graph and the rules for source files.
    Tidy,
    /// The gate: everything that must hold before a change goes in.
    Ci {
        /// Install what the tests need (Chromium, Python, Node.js, Java, Go) when absent.
        #[arg(long)]
        install: bool,
    },
    /// Explore the loom models of the node's concurrent cores.
    Loom,
    /// Run the fuzzers; needs cargo-fuzz.
    Fuzz {
        /// One of `core`, `client`, `node` or `gateway`'s `fuzz/fuzz_targets`; all of them when absent.
        target: Option<String>,
        /// Seconds for each target.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
    },
    /// Change the code at random places and see whether a test notices; needs cargo-mutants.
    Mutants {
        /// `queue`, `outbox`, `session`, `seal` or `auth`; all of them when absent.
        area: Option<String>,
        /// Which of how many shares of each area's mutants, as `1/20`; all of them when absent.
        #[arg(long)]
        shard: Option<String>,
    },
    /// The long forms of the fault tests: many minutes.
    Long {
        /// Only tests whose names contain this.
        filter: Option<String>,
    },
}

fn main() -> ExitCode {
    let result = match Args::parse().task {
        Task::Codegen { check } => codegen::run(check),
        Task::Openapi { check } => openapi::run(check),
        Task::Sdk { check } => sdk::run(check),
        Task::Reference { check } => reference::run(check).and_then(|()| problems::run(check)),
        Task::Book => book::run(),
        Task::Tidy => tidy::run(),
        Task::Ci { install } => ci::run(install),
        Task::Loom => isolated::loom(),
        Task::Fuzz { target, seconds } => isolated::fuzz(target, seconds),
        Task::Mutants { area, shard } => mutants::run(area.as_deref(), shard.as_deref()),
        Task::Long { filter } => long::run(filter.as_deref()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            shell::say(&format!("xtask: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The root of the checkout this task was built from.
fn workspace_root() -> std::path::PathBuf {
    let mut root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
