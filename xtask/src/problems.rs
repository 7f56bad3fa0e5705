//! Writes a page for every kind of problem, `docs/problems/WORD.md`, from the table of
//! `docs/problems.md`, and lists the pages in the summary of the site.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result, bail};

const TABLE: &str = "docs/problems.md";
const FOLDER: &str = "docs/problems";
const SUMMARY: &str = "docs/SUMMARY.md";
/// The line of the summary beneath which the pages are, and how each begins.
const PARENT: &str = "- [Errors](problems.md)\n";
const CHILD: &str = "  - [";

/// Writes the pages, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    let root = crate::workspace_root();
    let table = fs::read_to_string(root.join(TABLE)).with_context(|| format!("read {TABLE}"))?;
    let pages = pages(&table)?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    let listed = fs::read_to_string(root.join(SUMMARY))?;
    files.insert(SUMMARY.to_owned(), summary(&listed, pages.keys())?);
    for (word, page) in pages {
        files.insert(format!("{FOLDER}/{word}.md"), page);
    }
    if !check {
        fs::create_dir_all(root.join(FOLDER))?;
    }
    for entry in fs::read_dir(root.join(FOLDER))? {
        let name = format!("{FOLDER}/{}", entry?.file_name().to_string_lossy());
        if !files.contains_key(&name) {
            bail!("{name} is of no problem: remove it");
        }
    }
    for (name, fresh) in files {
        let path = root.join(&name);
        if !check {
            fs::write(&path, fresh).with_context(|| format!("write {name}"))?;
        } else if fs::read_to_string(&path).ok().as_ref() != Some(&fresh) {
            bail!("{name} is stale: run `cargo xtask reference`");
        }
    }
    Ok(())
}

/// The pages by their words.
fn pages(table: &str) -> Result<BTreeMap<String, String>> {
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let pages: BTreeMap<_, _> = rows
        .map(|row| match row.split(" | ").collect::<Vec<_>>()[..] {
            [word, status, retryable, meaning, advice] => {
                let word = word.trim_end_matches('`');
                let page = page(word, status, retryable == "yes", meaning, advice);
                Ok((word.to_owned(), page))
            }
            _ => bail!("{TABLE}: a row with other columns: {row}"),
        })
        .collect::<Result<_>>()?;
    if pages.is_empty() {
        bail!("{TABLE} has no problems");
    }
    Ok(pages)
}

fn page(word: &str, status: &str, retryable: bool, meaning: &str, advice: &str) -> String {
    let again = if retryable {
        "yes: the same request can succeed later"
    } else {
        "no: the same request does not succeed later without a change"
    };
    let [meaning, advice] = [meaning, advice].map(below);
    format!(
        "# {word}\n\n{meaning}\n\n| | |\n|---|---|\n| `type` | `urn:quicproquo:problem:{word}` |\n\
         | `status` | {status} |\n| `retryable` | {again} |\n\n**What to do:** {advice}\n\n\
         [All problems](../problems.md)\n"
    )
}

/// A text whose links to other pages lead there from a folder below.
fn below(text: &str) -> String {
    let mut parts = text.split("](");
    let mut moved = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let folder = if part.starts_with("http") { "" } else { "../" };
        moved.extend(["](", folder, part]);
    }
    moved
}

/// The summary with these pages beneath that of the table.
fn summary<'a>(now: &str, words: impl Iterator<Item = &'a String>) -> Result<String> {
    let (before, after) = now.split_once(PARENT).with_context(|| format!("no {PARENT:?}"))?;
    let mut fresh = format!("{before}{PARENT}");
    for word in words {
        // Writing to a String cannot fail.
        let _ = writeln!(fresh, "{CHILD}{word}](problems/{word}.md)");
    }
    fresh.extend(after.split_inclusive('\n').skip_while(|line| line.starts_with(CHILD)));
    Ok(fresh)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_a_page_and_listed() {
        let table = "# P\n\n| type | status |\n|---|---|\n\
                     | `b-two` | 409 | yes | Two. | See [it](x.md#y) or `z`. |\n\
                     | `a-one` | 404 | no | One. | Look. |\n";
        let pages = pages(table).unwrap();
        assert_eq!(pages.keys().collect::<Vec<_>>(), ["a-one", "b-two"]);
        let two = &pages["b-two"];
        assert!(two.starts_with("# b-two\n\nTwo.\n"), "{two}");
        assert!(two.contains("`urn:quicproquo:problem:b-two`") && two.contains("| yes: "), "{two}");
        assert!(two.contains("[it](../x.md#y)"), "{two}");
        assert_eq!(below("[a](https://b) [c](d.md)"), "[a](https://b) [c](../d.md)");
        let old = "- [x](x.md)\n- [Errors](problems.md)\n  - [old](problems/old.md)\n- [y](y.md)\n";
        let new = summary(old, pages.keys()).unwrap();
        let expected = "- [x](x.md)\n- [Errors](problems.md)\n  - [a-one](problems/a-one.md)\n  \
                        - [b-two](problems/b-two.md)\n- [y](y.md)\n";
        assert_eq!(new, expected);
        assert_eq!(summary(&new, pages.keys()).unwrap(), new);
        assert!(summary("none", pages.keys()).is_err());
        assert!(super::pages("| `a` | 404 |\n").is_err() && super::pages("").is_err());
    }
}
