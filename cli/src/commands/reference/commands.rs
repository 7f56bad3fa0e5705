//! The page of all commands, from their own help.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use crate::args;

/// One part for each command, in the order of `qpq --help`.
pub(super) fn page() -> String {
    let mut command = args::command();
    command.build();
    let mut text = String::from("## Options of all commands\n\n");
    for option in command.get_arguments().filter(|option| option.is_global_set()) {
        text += &item(option);
    }
    for below in command.get_subcommands() {
        part(below, "qpq", &mut text);
    }
    text
}

fn part(command: &Command, above: &str, text: &mut String) {
    if command.is_hide_set() || command.get_name() == "help" {
        return;
    }
    let name = format!("{above} {}", command.get_name());
    let about = command.get_long_about().or(command.get_about());
    let about = about.map(ToString::to_string).unwrap_or_default();
    // Writing to a String does not fail.
    let _ = write!(text, "\n## `{name}`\n\n{}\n", about.trim());
    let usage = command.clone().render_usage().to_string();
    let usage =
        usage.trim_start_matches("Usage: ").split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = write!(text, "\n```text synopsis\n{usage}\n```\n\n");
    // Bounds of the node are on pages of their own.
    let arguments = command.get_arguments().filter(|argument| {
        !argument.is_hide_set()
            && !argument.is_hide_short_help_set()
            && argument.get_id() != "help"
            && !is_common(argument)
    });
    for argument in arguments {
        *text += &item(argument);
    }
    if let Some(examples) = command.get_after_help() {
        let examples = examples.to_string().replace("\n  ", "\n");
        let examples = examples.trim_start_matches("Examples:").trim();
        let _ = write!(text, "\n```sh not run: a test parses them\n{examples}\n```\n");
    }
    for below in command.get_subcommands() {
        part(below, &name, text);
    }
}

/// Whether an option stands at the top of the page.
fn is_common(argument: &Arg) -> bool {
    let common = ["config", "data_dir", "log", "log_format", "otlp_endpoint"];
    common.contains(&argument.get_id().as_str())
}

/// An argument, its variable and what it does.
fn item(argument: &Arg) -> String {
    let value = argument.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let value = value.filter(|_| !matches!(argument.get_action(), ArgAction::SetTrue));
    let name = match (argument.get_short(), argument.get_long(), value) {
        (Some(short), Some(long), Some(value)) => format!("-{short}, --{long} {value}"),
        (Some(short), Some(long), None) => format!("-{short}, --{long}"),
        (None, Some(long), Some(value)) => format!("--{long} {value}"),
        (None, Some(long), None) => format!("--{long}"),
        (_, None, value) => value.unwrap_or_default(),
    };
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let mut more = Vec::new();
    let values: Vec<_> = argument.get_possible_values();
    if !values.is_empty() && !matches!(argument.get_action(), ArgAction::SetTrue) {
        let values: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
        more.push(values.join(", "));
    }
    let defaults: Vec<_> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty()
        && !defaults.iter().all(|value| value.is_empty())
        && argument.get_action().takes_values()
    {
        more.push(format!("`{}` when absent", defaults.join(",")));
    }
    if let Some(variable) = argument.get_env() {
        more.push(format!("`{}`", variable.to_string_lossy()));
    }
    let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join("; ")) };
    format!("- `{name}`: {}{more}\n", help.trim_end_matches('.'))
}
