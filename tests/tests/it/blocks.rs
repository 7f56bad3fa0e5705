//! Every block of commands in every document is typed by a test, or says why not; and links lead to
//! what is there.

use std::fs;
use std::path::{Path, PathBuf};

use quicproquo_tests::files;
use quicproquo_tests::shell::blocks;

use crate::{book, commands, examples};

/// How a block begins that is not typed: its language, then this and a reason.
const MARK: &str = " not run: ";

/// How blocks of commands are named.
const SHELLS: [&str; 4] = ["sh", "console", "shell", "zsh"];

/// What programs of this project, and a prompt, begin a line with.
const COMMANDS: [&str; 6] = ["$ ", "qpq ", "cargo ", "curl ", "docker ", "packaging/"];

/// Faults of a page; `typed` says whether a test types its blocks in `bash`.
fn faults(path: &str, page: &str, typed: bool) -> Vec<String> {
    let mut faults = Vec::new();
    for block in blocks(page) {
        let info = block.info.as_str();
        let fault = match info.split_once(MARK) {
            Some(("sh" | "console", reason)) if !reason.trim().is_empty() => None,
            _ if info == "bash" && typed => None,
            _ if info == "bash" => Some("no test types this page"),
            _ if info == "text synopsis" => None,
            _ if info.is_empty() => Some("a block without a language"),
            _ if SHELLS.iter().any(|shell| info.split(' ').any(|word| word == *shell)) => {
                Some("neither typed (`bash`) nor marked (`sh not run: why`)")
            }
            _ if block.text.lines().any(|line| COMMANDS.iter().any(|c| line.starts_with(c))) => {
                Some("commands in a block of something else")
            }
            _ => None,
        };
        faults.extend(fault.map(|fault| format!("{path}:{}: {fault}", block.line)));
    }
    faults
}

/// Links of a page to files that are not there; `dir` is the page's folder in the checkout.
fn lost(path: &str, page: &str, dir: &Path) -> Vec<String> {
    let links = page.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let links = links.map(|(target, _)| target);
    let files = links.filter(|link| !link.contains("://") && !link.starts_with('#'));
    let files = files.map(|link| link.split('#').next().unwrap_or_default());
    let lost = files.filter(|file| !dir.join(file).exists());
    lost.map(|file| format!("{path}: there is no {file}")).collect()
}

/// All documents below a folder of the checkout, as paths in it.
fn documents(folder: &Path, found: &mut Vec<PathBuf>) {
    const FOREIGN: [&str; 4] = ["target", "node_modules", "venv", "dist"];
    for entry in fs::read_dir(files::checkout("").join(folder)).expect("list a folder") {
        let entry = entry.expect("list a folder");
        let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
        let name = name.to_string_lossy();
        if entry.path().is_dir() {
            if !FOREIGN.contains(&name.as_ref()) && !name.starts_with('.') {
                documents(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// Every page whose blocks in `bash` a test types.
fn typed() -> Vec<&'static str> {
    [book::TYPED, commands::TYPED, examples::TYPED].concat()
}

#[test]
fn every_block_of_commands_is_typed_or_marked_and_links_lead_somewhere() {
    let mut pages = Vec::new();
    documents(Path::new(""), &mut pages);
    assert!(pages.len() > 50, "{pages:?}");
    let mut found = Vec::new();
    for path in pages {
        let page = fs::read_to_string(files::checkout("").join(&path)).expect("a document");
        let path = path.to_str().expect("text");
        found.extend(faults(path, &page, typed().contains(&path)));
        let dir = files::checkout(path);
        found.extend(lost(path, &page, dir.parent().expect("a folder")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What is in a list is typed as it stands: it has blocks to type.
#[test]
fn the_pages_that_are_typed_have_commands() {
    for path in typed() {
        let page = fs::read_to_string(files::checkout(path)).expect("a document");
        assert!(blocks(&page).iter().any(|block| block.info == "bash"), "{path}");
    }
}

/// The control: what is neither typed nor marked is named, with its line.
#[test]
fn what_is_neither_typed_nor_marked_is_named() {
    let found = |page: &str, typed| faults("a.md", page, typed);
    let typed = "text\n\n```bash\nqpq up\n```\n";
    assert!(found(typed, true).is_empty());
    assert_eq!(found(typed, false), ["a.md:3: no test types this page"]);
    for unmarked in
        ["```sh\nqpq up\n```\n", "```sh not run: \nqpq up\n```\n", "```console\n$ qpq up\n```\n"]
    {
        let [fault] = &found(unmarked, true)[..] else { panic!("{unmarked}") };
        assert!(fault.starts_with("a.md:1: neither typed"), "{fault}");
    }
    assert!(found("```sh not run: root\napt install qpq\n```\n", false).is_empty());
    for hidden in ["```\nqpq up\n```\n", "  ```text\nqpq up\n  ```\n"] {
        assert_eq!(found(hidden, true).len(), 1, "{hidden}");
    }
    assert!(found("```toml\na = 1\n```\n```text\na -> b\n```\n", false).is_empty());
}

/// The control: a link to nothing is named, others are not.
#[test]
fn a_link_to_nothing_is_named() {
    let page = "[a](README.md#here) [b](#there) [c](https://example.org/x) [d](nothing.md)";
    assert_eq!(lost("a.md", page, &files::checkout("")), ["a.md: there is no nothing.md"]);
}
