//! Rules for hand-written source files.

use anyhow::Result;

use crate::sources::{self, Source};

/// Most lines of one file.
const MAX_LINES: usize = 500;

/// File names that say nothing about what is inside, or that we write another way.
const BAD_NAMES: [&str; 4] = ["mod.rs", "utils.rs", "common.rs", "helpers.rs"];

/// What is left over from work in progress; joined here so that this file does not contain it.
fn leftovers() -> [String; 3] {
    ["todo", "dbg", "unimplemented"].map(|name| format!("{name}!("))
}

/// Every broken rule, one line each.
pub(crate) fn faults() -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for source in sources::with_extension("rs")? {
        rust(&source, &mut faults);
    }
    for extension in ["rs", "py", "sh", "ts", "go"] {
        for source in sources::with_extension(extension)? {
            let lines = source.text.lines().count();
            if lines > MAX_LINES {
                faults
                    .push(format!("{}: {lines} lines, at most {MAX_LINES}", source.path.display()));
            }
        }
    }
    Ok(faults)
}

fn rust(source: &Source, faults: &mut Vec<String>) {
    let path = source.path.display();
    let name = source.path.file_name().unwrap_or_default().to_string_lossy();
    if BAD_NAMES.contains(&name.as_ref()) {
        faults.push(format!("{path}: a file is named after what it holds, not {name}"));
    }
    if !source.text.starts_with("//!") {
        faults.push(format!("{path}: starts with no `//!` line that says what it is for"));
    }
    for leftover in leftovers() {
        for (index, _) in source.text.lines().enumerate().filter(|(_, l)| l.contains(&leftover)) {
            faults.push(format!("{path}:{}: {leftover}..)", index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn check(path: &str, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        rust(&Source { path: PathBuf::from(path), text: text.to_owned() }, &mut faults);
        faults
    }

    #[test]
    fn a_clean_file_passes() {
        assert!(check("core/src/kem.rs", "//! Keys.\nfn f() {}\n").is_empty());
    }

    #[test]
    fn each_rule_is_named() {
        assert_eq!(check("a/mod.rs", "//! A.\n").len(), 1);
        assert_eq!(check("a/b.rs", "fn f() {}\n").len(), 1);
        let leftover = format!("//! A.\nfn f() {{ {}) }}\n", leftovers()[0]);
        assert_eq!(check("a/b.rs", &leftover), [format!("a/b.rs:2: {}..)", leftovers()[0])]);
    }
}
