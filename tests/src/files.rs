//! Where programs and artifacts are, and what files contain.

use std::fs;
use std::path::{Path, PathBuf};

use crate::seed;

/// The target directory this test was built into.
pub fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the test knows its own path");
    // <target>/<profile>/deps/<test>
    exe.ancestors().nth(3).expect("tests are built into <target>/<profile>/deps").to_owned()
}

/// Variable that names another `qpq` to test, for long forms that ask too much of an unoptimised
/// one.
const BINARY: &str = "QPQ_BINARY";

/// The `qpq` binary of the same build, or the one that `QPQ_BINARY` names.
pub fn qpq() -> PathBuf {
    if let Some(binary) = seed::word(BINARY) {
        return binary.into();
    }
    let exe = std::env::current_exe().expect("the test knows its own path");
    let path = exe.ancestors().nth(2).expect("tests are built into deps").join("qpq");
    assert!(path.exists(), "{} is absent: cargo build -p quicproquo-cli", path.display());
    path
}

/// The Python that has what the tests of foreign stacks need.
pub fn python() -> PathBuf {
    python_in("venv")
}

/// A program of the packages in `tests/python/requirements.txt`.
pub fn venv(program: &str) -> PathBuf {
    python().with_file_name(program)
}

/// The Python that has what the SDK and the examples need.
pub fn sdk_python() -> PathBuf {
    python_in("venv-sdk")
}

/// The Python of the environment with this name.
pub fn python_in(environment: &str) -> PathBuf {
    let path = target_dir().join(environment).join("bin/python");
    assert!(path.exists(), "{} is absent: cargo xtask ci --install makes it", path.display());
    path
}

/// The packages of `tests/node/package.json`.
pub fn node_modules() -> PathBuf {
    let path = target_dir().join("node/node_modules");
    assert!(path.exists(), "{} is absent: cargo xtask ci --install makes it", path.display());
    path
}

/// A program of one of them.
pub fn node(program: &str) -> PathBuf {
    node_modules().join(".bin").join(program)
}

/// The packages of `sdk/typescript/package.json`.
pub fn sdk_node_modules() -> PathBuf {
    let path = target_dir().join("node-sdk/node_modules");
    assert!(path.exists(), "{} is absent: cargo xtask ci --install makes it", path.display());
    path
}

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Where a test may leave something for people to look at: outside git, inside target.
pub fn artifact(name: &str) -> PathBuf {
    let folder = target_dir().join("artifacts");
    fs::create_dir_all(&folder).expect("create the artifacts folder");
    folder.join(name)
}

/// All files under a folder, with their bytes.
pub fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let entries = fs::read_dir(folder).expect("list a folder");
    for entry in entries {
        let path = entry.expect("list a folder").path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else if path.is_file() {
            let bytes = fs::read(&path).expect("read a file");
            found.push((path, bytes));
        }
    }
    found
}

/// Copies a folder with every file below it.
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir(to).expect("create a folder");
    for entry in fs::read_dir(from).expect("list a folder") {
        let path = entry.expect("list a folder").path();
        let to = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_tree(&path, &to);
        } else if path.is_file() {
            fs::copy(&path, &to).expect("copy a file");
        }
    }
}

/// Whether `bytes` contains `needle`.
pub fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    match std::str::from_utf8(needle) {
        // The same, and in an unoptimised build many times faster.
        Ok(text) if text.is_ascii() => String::from_utf8_lossy(bytes).contains(text),
        _ => bytes.windows(needle.len()).any(|window| window == needle),
    }
}
