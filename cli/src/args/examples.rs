//! The examples of every command's `--help`, from `examples.txt`.

use clap::Command;

/// `[a command]`, then lines of a shell, for each.
const TEXT: &str = include_str!("examples.txt");

/// The examples of a command, which is given without `qpq`.
fn of(path: &str) -> Option<Vec<&'static str>> {
    let mut lines = TEXT.lines().skip_while(|line| *line != format!("[{path}]"));
    lines.next()?;
    Some(lines.take_while(|line| !line.is_empty()).collect())
}

/// Puts the examples below the help of all commands that have some.
pub(super) fn attach(command: Command, path: &str) -> Command {
    let command = command.mut_subcommands(|below| {
        let path = format!("{path} {}", below.get_name());
        attach(below, path.trim())
    });
    match of(path) {
        Some(lines) => command.after_help(format!("Examples:\n  {}", lines.join("\n  "))),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    /// Names of all commands, and those that `each` has examples for.
    fn walk(command: &Command, path: &str, each: &mut impl FnMut(&str, &Command)) {
        for below in command.get_subcommands() {
            let path = format!("{path} {}", below.get_name());
            each(path.trim(), below);
            walk(below, path.trim(), each);
        }
    }

    #[test]
    fn every_command_has_examples_and_every_example_a_command() {
        let mut commands = Vec::new();
        walk(&command(), "", &mut |path, command| {
            if !command.is_hide_set() {
                let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.contains(&format!("qpq {path}")), "qpq {path}: {help}");
                commands.push(format!("[{path}]"));
            }
        });
        let named: Vec<_> = TEXT.lines().filter(|line| line.starts_with('[')).collect();
        assert_eq!(named.len(), commands.len(), "{named:?}");
        assert!(named.iter().all(|name| commands.contains(&(*name).to_owned())), "{named:?}");
    }

    /// Words as a shell reads them, as far as the examples need it.
    fn words(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
        for c in line.chars() {
            match c {
                '\'' => {
                    quoted = !quoted;
                    word.get_or_insert_default();
                }
                ' ' if !quoted => words.extend(word.take()),
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        words
    }

    /// The calls of `qpq` in examples: their words.
    fn calls(text: &str) -> Vec<Vec<String>> {
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with(['[', '#'])).collect();
        let text = lines.join("\n").replace("\\\n", " ");
        let identity = "3b6a27bc".repeat(8);
        let text =
            text.replace("3b6a27bc...", &identity).replace("chat.example.org:", "192.0.2.1:");
        let parts = text.split('\n').flat_map(|line| line.split(" | "));
        let parts = parts.map(|part| part.split(" >").next().unwrap_or_default().trim());
        let parts = parts.map(|part| part.strip_prefix("QPQ_LOG=info ").unwrap_or(part));
        parts.filter(|part| part.starts_with("qpq ")).map(words).collect()
    }

    #[test]
    fn every_example_is_a_command_line() {
        let calls = calls(TEXT);
        let lines = TEXT.lines().filter(|line| line.contains("qpq ")).count();
        assert!(calls.len() >= lines, "{} calls in {lines} lines", calls.len());
        for words in calls {
            let parsed = command().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{words:?}: {}", parsed.unwrap_err());
        }
        // The control.
        let wrong = super::tests::calls("qpq bot create --no-such-option x");
        assert!(command().try_get_matches_from(&wrong[0]).is_err());
    }
}
