//! Whose data is in a directory.
//!
//! `qpq up` keeps its node in `DIR/node` and its gateway in `DIR/gateway`; `qpq node` and
//! `qpq gateway` keep theirs in the directory itself.

use std::path::{Path, PathBuf};

use crate::exit::Failure;

/// What a node has made in its directory.
const NODE: &str = "node.db";
/// What a gateway has made in its directory.
const GATEWAY: &str = "client.db";

/// Refuses to run both halves on the directory of one of them.
pub(crate) fn for_both(dir: &Path) -> Result<(), Failure> {
    for (file, command) in [(NODE, "qpq node"), (GATEWAY, "qpq gateway")] {
        if exists(&dir.join(file))? {
            let dir = dir.display();
            return Err(Failure::usage(format_args!(
                "{dir} belongs to `{command}`; give `qpq up` a --data-dir of its own"
            )));
        }
    }
    Ok(())
}

/// Refuses to run a node alone on the directory of `qpq up`.
pub(crate) fn for_node(dir: &Path) -> Result<(), Failure> {
    alone(dir, "node", NODE)
}

/// Refuses to run a gateway alone on the directory of `qpq up`.
pub(crate) fn for_gateway(dir: &Path) -> Result<(), Failure> {
    alone(dir, "gateway", GATEWAY)
}

fn alone(dir: &Path, half: &str, file: &str) -> Result<(), Failure> {
    let inner = dir.join(half);
    if exists(&inner.join(file))? {
        return Err(Failure::usage(format_args!(
            "{} belongs to `qpq up`, whose {half} is in {}; give that as --data-dir, or a new \
             directory",
            dir.display(),
            inner.display(),
        )));
    }
    Ok(())
}

/// Where the node of this directory keeps its data.
pub(crate) fn of_node(dir: &Path) -> Result<PathBuf, Failure> {
    for candidate in [dir.to_owned(), dir.join("node")] {
        if exists(&candidate.join(NODE))? {
            return Ok(candidate);
        }
    }
    let dir = dir.display();
    Err(Failure::usage(format_args!("{dir}: no node has run here; give its --data-dir")))
}

/// Where the gateway of this directory keeps its data.
pub(crate) fn of_gateway(dir: &Path) -> Result<PathBuf, Failure> {
    for candidate in [dir.to_owned(), dir.join("gateway")] {
        if exists(&candidate.join(GATEWAY))? {
            return Ok(candidate);
        }
    }
    let dir = dir.display();
    Err(Failure::usage(format_args!("{dir}: no gateway has run here; give its --data-dir")))
}

fn exists(path: &Path) -> Result<bool, Failure> {
    path.try_exists().map_err(|error| Failure::other(format_args!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_keeps_to_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let put = |path: &str| {
            let path = dir.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        for free in [for_both, for_node, for_gateway] {
            assert!(free(dir).is_ok());
        }
        assert!(of_node(dir).is_err() && of_gateway(dir).is_err());
        put("node/node.db");
        put("gateway/client.db");
        assert!(for_both(dir).is_ok());
        assert!(for_node(dir).is_err());
        assert!(for_gateway(dir).is_err());
        assert_eq!(of_node(dir).unwrap(), dir.join("node"));
        assert_eq!(of_gateway(dir).unwrap(), dir.join("gateway"));
        put("node.db");
        assert!(for_both(dir).is_err());
        assert_eq!(of_node(dir).unwrap(), dir);
    }
}
