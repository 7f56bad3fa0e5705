//! Writes the parts of the documents that `qpq reference` makes of what the program knows.
//!
//! A page holds a part between `<!-- reference: NAME -->` and `<!-- end -->`.

use std::fs;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::shell;

/// Pages with such parts.
const PAGES: [&str; 6] = [
    "docs/api.md",
    "docs/commands.md",
    "docs/events.md",
    "docs/limits.md",
    "docs/operations.md",
    "docs/quotas.md",
];

const BEGIN: &str = "<!-- reference: ";
const BEHIND: &str = " -->\n";
const END: &str = "<!-- end -->";

/// Writes the parts, or with `check` compares them.
pub(crate) fn run(check: bool) -> Result<()> {
    let args = ["run", "--quiet", "--package", "quicproquo-cli", "--", "reference"];
    let parts = serde_json::from_str(&shell::capture("cargo", &args)?)?;
    let mut used = Vec::new();
    for name in PAGES {
        let path = crate::workspace_root().join(name);
        let page = fs::read_to_string(&path).with_context(|| format!("read {name}"))?;
        let fresh = filled(&page, &parts, &mut used).with_context(|| name.to_owned())?;
        if !check {
            fs::write(&path, fresh).with_context(|| format!("write {name}"))?;
        } else if fresh != page {
            bail!("{name} is stale: run `cargo xtask reference`");
        }
    }
    match parts.keys().find(|part| !used.contains(*part)) {
        Some(part) => bail!("no page has the part `{part}`"),
        None => Ok(()),
    }
}

/// A page with its parts as they are now.
fn filled(page: &str, parts: &Map<String, Value>, used: &mut Vec<String>) -> Result<String> {
    let mut done = String::with_capacity(page.len());
    let mut rest = page;
    while let Some((before, behind)) = rest.split_once(BEGIN) {
        let (name, behind) = behind.split_once(BEHIND).context("a part has no name")?;
        let (_, after) = behind.split_once(END).context("a part has no end")?;
        let part = parts.get(name).and_then(Value::as_str);
        let part = part.with_context(|| format!("there is no part `{name}`"))?;
        done.extend([before, BEGIN, name, BEHIND, "\n", part.trim(), "\n\n", END]);
        used.push(name.to_owned());
        rest = after;
    }
    Ok(done + rest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn parts_are_replaced_and_the_rest_stays() {
        let parts = json!({ "a": "new\n", "b": "two" });
        let parts = parts.as_object().unwrap();
        let page =
            "x\n<!-- reference: a -->\nold\n<!-- end -->\ny\n<!-- reference: b -->\n<!-- end -->\n";
        let mut used = Vec::new();
        let fresh = filled(page, parts, &mut used).unwrap();
        let expected = "x\n<!-- reference: a -->\n\nnew\n\n<!-- end -->\ny\n\
                        <!-- reference: b -->\n\ntwo\n\n<!-- end -->\n";
        assert_eq!(fresh, expected);
        assert_eq!(used, ["a", "b"]);
        assert_eq!(filled(&fresh, parts, &mut used).unwrap(), fresh);
        assert!(filled("<!-- reference: c -->\n<!-- end -->", parts, &mut used).is_err());
        assert!(filled("<!-- reference: a -->\n", parts, &mut used).is_err());
    }
}
