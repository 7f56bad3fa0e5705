//! Tables of settings, from the options of the command line and what `qpq config check` prints.

use clap::{Arg, Command};
use serde_json::Value;

use super::{code, head, row};
use crate::args;
use crate::config::{CommonArgs, Layers, Settings};
use crate::exit::Failure;

/// A setting: its path in the file, its option, its default.
struct Setting {
    /// That of its option among all.
    place: usize,
    path: String,
    variable: String,
    flag: String,
    default: String,
    help: String,
}

/// What the names of settings have in them whose values are bytes.
const BYTES: [&str; 5] = ["bytes", "window", "frame", "memory", "unsent"];

/// Whether a setting has a page of its own.
pub(super) fn is_bound(path: &str) -> bool {
    path.starts_with("node.limits.") || path.starts_with("node.quotas.")
}

/// Settings with their names everywhere, defaults and meaning.
pub(super) fn table(wanted: impl Fn(&str) -> bool) -> Result<String, Failure> {
    let mut table = head(&["file", "variable", "flag", "default", "meaning"]);
    for setting in all()?.iter().filter(|setting| wanted(&setting.path)) {
        let Setting { path, variable, flag, default, help, .. } = setting;
        table += &row(&[&code(path), &code(variable), &code(flag), default, help]);
    }
    Ok(table)
}

/// Settings of one table of the file: name, default, meaning.
pub(super) fn bounds(prefix: &str) -> Result<String, Failure> {
    let mut table = head(&["name", "default", "bounds"]);
    for setting in all()? {
        if let Some(name) = setting.path.strip_prefix(prefix) {
            table += &row(&[&code(name), &setting.default, &setting.help]);
        }
    }
    Ok(table)
}

/// Every setting, in the order of the file.
fn all() -> Result<Vec<Setting>, Failure> {
    let command = args::command();
    let mut options = Vec::new();
    collect(&command, &mut options);
    let common = CommonArgs { data_dir: Some("/".into()), ..CommonArgs::default() };
    let settings = Settings::load(common, Layers::default())?;
    let defaults = serde_json::to_value(&settings).map_err(Failure::other)?;
    let mut paths: Vec<String> =
        ["data_dir", "log", "log_format", "otlp_endpoint"].map(str::to_owned).to_vec();
    let layers = Layers::default();
    for (name, layer) in [
        ("http", serde_json::to_value(&layers.http)),
        ("node", serde_json::to_value(&layers.node)),
        ("link", serde_json::to_value(&layers.link)),
        ("bots", serde_json::to_value(&layers.bots)),
    ] {
        names(name, &layer.map_err(Failure::other)?, &mut paths);
    }
    let found = paths.into_iter().map(|path| setting(path, &options, &defaults));
    let mut settings = found.collect::<Result<Vec<_>, _>>()?;
    settings.sort_by_key(|setting| setting.place);
    Ok(settings)
}

/// The names of a table of the file, and of those in it.
fn names(path: &str, table: &Value, found: &mut Vec<String>) {
    match table.as_object() {
        Some(fields) => {
            for (name, field) in fields {
                names(&format!("{path}.{name}"), field, found);
            }
        }
        None => found.push(path.to_owned()),
    }
}

/// Options of all commands, each once.
fn collect(command: &Command, found: &mut Vec<Arg>) {
    for option in command.get_arguments().filter(|option| option.get_env().is_some()) {
        if !found.iter().any(|known| known.get_id() == option.get_id()) {
            found.push(option.clone());
        }
    }
    command.get_subcommands().for_each(|below| collect(below, found));
}

fn setting(path: String, options: &[Arg], defaults: &Value) -> Result<Setting, Failure> {
    // The names of options with a namesake in another table begin with that of the table.
    let ids = [path.replace('.', "_"), path.replace(['.', '_'], "-"), last(&path).to_owned()];
    let place =
        ids.iter().find_map(|id| options.iter().position(|option| option.get_id() == id.as_str()));
    let place = place.ok_or_else(|| Failure::other(format!("{path} has no option")))?;
    let option = &options[place];
    let help = option.get_help().map(ToString::to_string).unwrap_or_default().replace('\n', " ");
    let (help, said) = match help.rsplit_once("[default: ") {
        Some((help, default)) => {
            (help.trim().to_owned(), default.trim_end_matches(['.', ']']).to_owned())
        }
        None => (help, String::new()),
    };
    let is_bytes = BYTES.iter().any(|word| last(&path).contains(word));
    let default = if said.is_empty() {
        shown(defaults.pointer(&format!("/{}", path.replace('.', "/"))), is_bytes)
    } else {
        said
    };
    let values = option.get_possible_values();
    let values: Vec<_> = values.iter().map(|value| code(value.get_name())).collect();
    let values = if values.is_empty() || values == ["`true`", "`false`"] {
        String::new()
    } else {
        format!(": {}", values.join(", "))
    };
    let text = |part: Option<String>| part.unwrap_or_default();
    Ok(Setting {
        place,
        variable: text(option.get_env().map(|name| name.to_string_lossy().into_owned())),
        flag: text(option.get_long().map(|name| format!("--{name}"))),
        help: format!("{}{values}", help.trim_end_matches('.')),
        path,
        default,
    })
}

fn last(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or_default()
}

/// A default as people read it.
fn shown(value: Option<&Value>, is_bytes: bool) -> String {
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(Value::Array(list)) if list.is_empty() => "none".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => {
            number.as_u64().map_or_else(|| number.to_string(), |number| grouped(number, is_bytes))
        }
        Some(other) => other.to_string(),
    }
}

/// A number with its thousands apart; bytes as a whole number of a larger unit.
fn grouped(number: u64, is_bytes: bool) -> String {
    for (unit, bytes) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if is_bytes && number >= bytes && number.is_multiple_of(bytes) {
            return format!("{} {unit}", number / bytes);
        }
    }
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_of_the_file_has_an_option_and_every_variable_is_one() {
        let settings = all().unwrap();
        let named: Vec<_> = settings.iter().map(|setting| setting.variable.as_str()).collect();
        assert!(named.contains(&"QPQ_NODE_LIMITS_STREAMS") && named.contains(&"QPQ_NODE"));
        let mut sorted = named.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), named.len(), "two settings have one option");
        let mut options = Vec::new();
        collect(&args::command(), &mut options);
        for option in options {
            let name = option.get_env().unwrap().to_string_lossy().into_owned();
            let of_callers = ["QPQ_CONFIG", "QPQ_URL", "QPQ_CA"].contains(&name.as_str());
            assert!(of_callers || named.contains(&name.as_str()), "{name} is in no file");
        }
    }

    #[test]
    fn defaults_are_read_by_people() {
        assert_eq!(grouped(10_240, false), "10,240");
        assert_eq!(grouped(4 << 20, true), "4 MiB");
        assert_eq!(shown(Some(&Value::Array(Vec::new())), false), "none");
    }
}
