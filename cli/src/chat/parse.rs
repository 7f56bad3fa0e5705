//! What a typed line means.

use std::path::PathBuf;

/// A line, understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(String),
    Reply(String),
    React(String),
    Unreact(String),
    Edit(String),
    Delete,
    File(PathBuf, Option<String>),
    Save(Option<PathBuf>),
    New(String, Vec<String>),
    Invite(Vec<String>),
    Remove(String),
    Leave,
    Rename(String),
    Accept,
    Decline,
    Members,
    Verify(String, Option<String>),
    Compared(String),
    Unverify(String),
    Help,
    Quit,
}

/// Commands and what they do, for the help.
pub(super) const COMMANDS: [(&str, &str); 20] = [
    ("/new NAME [WHO..]", "create a group; quotes around a name with spaces"),
    ("/invite WHO..", "add members"),
    ("/remove WHO", "remove a member"),
    ("/rename NAME", "rename the group"),
    ("/leave", "leave the group"),
    ("/accept, /decline", "answer an invitation"),
    ("/members", "who is in it, and how well their keys are known"),
    ("/verify WHO", "show a safety number"),
    ("/verify WHO DIGITS", "compare it with what the other side shows"),
    ("/compared WHO", "you have compared it yourself"),
    ("/unverify WHO", "take a verification back"),
    ("/reply TEXT", "answer the marked message, or the newest"),
    ("/react EMOJI", "react to it"),
    ("/unreact EMOJI", "take a reaction back"),
    ("/edit TEXT", "change your marked message, or your newest"),
    ("/delete", "delete it, for everybody"),
    ("/file PATH [TEXT]", "send a file"),
    ("/save [PATH]", "save the marked file, or the newest"),
    ("//TEXT", "send a text that begins with a slash"),
    ("/quit", "end"),
];

/// Understands a line, or says how it should be written.
pub(super) fn parse(line: &str) -> Result<Line, String> {
    let Some(command) = line.strip_prefix('/') else {
        return Ok(Line::Text(line.to_owned()));
    };
    if command.starts_with('/') {
        return Ok(Line::Text(command.to_owned()));
    }
    let (name, rest) = command.split_once([' ', '\n']).unwrap_or((command, ""));
    let rest = rest.trim();
    let needs = |what: &str| match rest {
        "" => Err(format!("/{name} {what}")),
        rest => Ok(rest.to_owned()),
    };
    let one = |what: &str| match words(rest)?.as_slice() {
        [word] => Ok(word.clone()),
        _ => Err(format!("/{name} {what}")),
    };
    Ok(match name {
        "reply" | "r" => Line::Reply(needs("TEXT")?),
        "react" => Line::React(needs("EMOJI")?),
        "unreact" => Line::Unreact(needs("EMOJI")?),
        "edit" => Line::Edit(needs("TEXT")?),
        "delete" => Line::Delete,
        "file" => {
            let (path, caption) = first(&needs("PATH [TEXT]")?)?;
            Line::File(home(&path), caption)
        }
        "save" => Line::Save(
            (!rest.is_empty()).then(|| first(rest)).transpose()?.map(|(path, _)| home(&path)),
        ),
        "new" => {
            let mut words = words(rest)?.into_iter();
            let name = words.next().ok_or("/new NAME [WHO..]")?;
            Line::New(name, words.collect())
        }
        "invite" => match words(rest)? {
            who if who.is_empty() => return Err("/invite WHO..".to_owned()),
            who => Line::Invite(who),
        },
        "remove" => Line::Remove(one("WHO")?),
        "leave" => Line::Leave,
        "rename" => Line::Rename(needs("NAME")?),
        "accept" => Line::Accept,
        "decline" => Line::Decline,
        "members" => Line::Members,
        "verify" => {
            let (who, number) = first(&needs("WHO [DIGITS]")?)?;
            Line::Verify(who, number)
        }
        "compared" => Line::Compared(one("WHO")?),
        "unverify" => Line::Unverify(one("WHO")?),
        "help" | "?" => Line::Help,
        "quit" | "q" => Line::Quit,
        other => return Err(format!("there is no command /{other}; F1 shows them")),
    })
}

/// The first word, and what follows it.
fn first(text: &str) -> Result<(String, Option<String>), String> {
    let (word, rest) = word(text)?;
    Ok((word, (!rest.is_empty()).then(|| rest.to_owned())))
}

fn words(mut text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    while !text.is_empty() {
        let (found, rest) = word(text)?;
        words.push(found);
        text = rest;
    }
    Ok(words)
}

/// A word up to a space, or within quotes, and the rest.
fn word(text: &str) -> Result<(String, &str), String> {
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('"') {
        let (word, rest) = quoted.split_once('"').ok_or("a quote has no end")?;
        return Ok((word.to_owned(), rest.trim_start()));
    }
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok((word.to_owned(), rest.trim_start()))
}

/// A path; `~/` is the home directory.
fn home(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), directories::BaseDirs::new()) {
        (Some(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => PathBuf::from(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_texts_or_commands() {
        let text = |text: &str| Ok(Line::Text(text.to_owned()));
        assert_eq!(parse("hello /there"), text("hello /there"));
        assert_eq!(parse("//etc/passwd"), text("/etc/passwd"));
        assert_eq!(parse("/reply  two words"), Ok(Line::Reply("two words".into())));
        let new = Line::New("tea for two".into(), vec!["bob".into(), "carol".into()]);
        assert_eq!(parse("/new \"tea for two\" bob  carol"), Ok(new));
        let file = Line::File("a b.txt".into(), Some("and why".into()));
        assert_eq!(parse("/file \"a b.txt\" and why"), Ok(file));
        assert_eq!(parse("/save"), Ok(Line::Save(None)));
        let verify = Line::Verify("bob".into(), Some("12345 67890".into()));
        assert_eq!(parse("/verify bob 12345 67890"), Ok(verify));
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, told) in [
            ("/nonsense", "no command /nonsense"),
            ("/reply", "/reply TEXT"),
            ("/invite", "/invite WHO.."),
            ("/remove a b", "/remove WHO"),
            ("/new \"tea", "a quote has no end"),
            ("/file", "/file PATH"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(told), "{line}: {said}");
        }
    }

    #[test]
    fn the_help_names_commands_that_exist() {
        for (usage, _) in COMMANDS.iter().filter(|(usage, _)| !usage.starts_with("//")) {
            let name = usage.split([' ', ',']).next().unwrap();
            let said = parse(&format!("{name} x"));
            assert!(!said.is_err_and(|said| said.contains("no command")), "{usage}");
        }
    }
}
