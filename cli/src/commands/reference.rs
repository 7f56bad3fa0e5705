//! `qpq reference`: what the documents say of routes, events, settings, commands and metrics, made of
//! what the program itself knows. `cargo xtask reference` puts it into the pages.

mod api;
mod commands;
mod metrics;
mod settings;

use serde_json::json;

use crate::exit::Failure;
use crate::output::say_json;

/// Prints an object: names of parts, and their text in Markdown.
pub(crate) fn run() -> Result<(), Failure> {
    say_json(&json!({
        "routes": api::routes()?,
        "events": api::events()?,
        "settings": settings::table(|path| !settings::is_bound(path))?,
        "limits": settings::bounds("node.limits.")?,
        "quotas": settings::bounds("node.quotas.")?,
        "commands": commands::page(),
        "node metrics": metrics::table(&quicproquo_node::metrics_example()),
        "gateway metrics": metrics::table(&quicproquo_gateway::metrics_example()),
    }))
}

/// A row of a table.
fn row(cells: &[&str]) -> String {
    let cells = cells.iter().map(|cell| cell.replace('\n', " ").replace('|', "\\|"));
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | ").replace("|  |", "| |"))
}

/// The head of a table.
fn head(titles: &[&str]) -> String {
    format!("{}|{}\n", row(titles), "---|".repeat(titles.len()))
}

/// A word as code, or nothing.
fn code(word: &str) -> String {
    if word.is_empty() { String::new() } else { format!("`{word}`") }
}
