//! Finds the hand-written source files of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Folders that hold sources: the members of the workspace, the examples, the SDKs and packaging.
const FOLDERS: [&str; 11] = [
    "core",
    "schemas",
    "node",
    "client",
    "gateway",
    "cli",
    "tests",
    "xtask",
    "examples",
    "sdk",
    "packaging",
];

/// Folders with what nobody wrote by hand.
const FOREIGN: [&str; 5] = ["generated", "target", "node_modules", "venv", "dist"];

/// A source file.
pub(crate) struct Source {
    /// Relative to the root of the workspace.
    pub(crate) path: PathBuf,
    pub(crate) text: String,
}

/// All hand-written files that end in `.{extension}`, in order of their paths.
pub(crate) fn with_extension(extension: &str) -> Result<Vec<Source>> {
    let root = crate::workspace_root();
    let mut found = Vec::new();
    for folder in FOLDERS {
        collect(&root, &root.join(folder), extension, &mut found)?;
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(root: &Path, folder: &Path, extension: &str, found: &mut Vec<Source>) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !FOREIGN.contains(&name.as_ref()) && !name.starts_with('.') {
                collect(root, &path, extension, found)?;
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
            let path = path.strip_prefix(root).unwrap_or(&path).to_owned();
            found.push(Source { path, text });
        }
    }
    Ok(())
}

/// Whether any hand-written doc comment holds an example that the compiler would run.
pub(crate) fn have_doctests() -> Result<bool> {
    Ok(with_extension("rs")?.iter().any(|source| runs_example(&source.text)))
}

fn runs_example(text: &str) -> bool {
    let mut inside = false;
    for line in text.lines() {
        let line = line.trim_start();
        let Some(doc) = line.strip_prefix("///").or_else(|| line.strip_prefix("//!")) else {
            inside = false;
            continue;
        };
        let Some(kind) = doc.trim_start().strip_prefix("```") else {
            continue;
        };
        if !inside && (kind.is_empty() || kind.contains("rust") || kind.contains("no_run")) {
            return true;
        }
        inside = !inside;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::runs_example;

    #[test]
    fn only_rust_fences_are_examples() {
        assert!(runs_example("/// ```\n/// let x = 1;\n/// ```\nfn f() {}"));
        assert!(runs_example("//! ```rust,no_run\n//! ```\n"));
        assert!(!runs_example("/// ```text\n/// a -> b\n/// ```\nfn f() {}"));
        assert!(!runs_example("fn f() { /* ``` */ }"));
    }
}
