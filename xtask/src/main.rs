//! Development tasks: `cargo xtask codegen | openapi | tidy | ci`.

mod codegen;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of quicproquo")]
struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate the Cap'n Proto modules of `schemas`.
    Codegen {
        /// Only compare; fail when the checked-in files are stale.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> Result<()> {
    match Args::parse().task {
        Task::Codegen { check } => codegen::run(check),
    }
}

/// The root of the checkout this task was built from.
fn workspace_root() -> std::path::PathBuf {
    let mut root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}
