//! The crate graph: who may depend on whom, proved from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::shell;

/// Our crates and which of ours each may link (tests and development excepted).
const OURS: [(&str, &[&str]); 9] = [
    ("quicproquo-core", &[]),
    ("quicproquo-schemas", &[]),
    ("quicproquo-transport", &[]),
    ("quicproquo-node", &["quicproquo-schemas", "quicproquo-transport"]),
    ("quicproquo-client", &["quicproquo-core", "quicproquo-schemas", "quicproquo-transport"]),
    ("quicproquo-gateway", &["quicproquo-client"]),
    ("quicproquo-cli", &["quicproquo-node", "quicproquo-gateway", "quicproquo-client"]),
    ("quicproquo-tests", &[]),
    ("xtask", &[]),
];

/// Crates (by the start of their names) that only some of ours may name as a dependency.
const RESERVED: [(&str, &[&str]); 5] = [
    ("openmls", &["quicproquo-core"]),
    (
        "capnp",
        &[
            "quicproquo-schemas",
            "quicproquo-transport",
            "quicproquo-node",
            "quicproquo-client",
            "quicproquo-tests",
            "xtask",
        ],
    ),
    (
        "quinn",
        &["quicproquo-transport", "quicproquo-node", "quicproquo-client", "quicproquo-tests"],
    ),
    // In the cli for the operations endpoint alone.
    ("axum", &["quicproquo-gateway", "quicproquo-cli"]),
    ("utoipa", &["quicproquo-gateway"]),
];

/// What must not be linked at all, directly or through others.
const UNREACHABLE: [(&str, &[&str]); 3] = [
    // The node cannot decrypt: there is nothing in it that could.
    ("quicproquo-node", &["quicproquo-core", "openmls"]),
    // Sans-IO: bytes in, bytes and events out.
    ("quicproquo-core", &["tokio", "quinn", "sqlx", "capnp"]),
    ("xtask", &["quicproquo-core", "quicproquo-node", "quicproquo-client", "quicproquo-gateway"]),
];

/// Every broken rule, one line each.
pub(crate) fn faults() -> Result<Vec<String>> {
    // Only this machine's graph, so that nothing is downloaded for others.
    let rustc = shell::capture("rustc", &["-vV"])?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("no host")?;
    let args = ["metadata", "--format-version", "1", "--locked", "--filter-platform", host];
    let text = shell::capture("cargo", &args)?;
    let graph = Graph::read(&serde_json::from_str(&text).context("read cargo metadata")?)?;
    Ok(graph.faults())
}

/// Names of packages and what they link in an ordinary build.
struct Graph {
    members: BTreeSet<String>,
    links: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read(metadata: &Value) -> Result<Self> {
        let packages = metadata["packages"].as_array().context("no packages in the metadata")?;
        let name_of: BTreeMap<&str, &str> = packages
            .iter()
            .filter_map(|p| Some((p["id"].as_str()?, p["name"].as_str()?)))
            .collect();
        let name = |id: &Value| id.as_str().and_then(|id| name_of.get(id)).copied();
        let nodes = metadata["resolve"]["nodes"].as_array().context("no graph in the metadata")?;
        let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in nodes {
            let Some(from) = name(&node["id"]) else {
                continue;
            };
            let linked = node["deps"].as_array().into_iter().flatten().filter(|d| is_normal(d));
            // Two versions of a package share a name; the union is the careful answer.
            links
                .entry(from.to_owned())
                .or_default()
                .extend(linked.filter_map(|d| name(&d["pkg"])).map(str::to_owned));
        }
        let members = metadata["workspace_members"].as_array().into_iter().flatten();
        let members = members.filter_map(name).map(str::to_owned).collect();
        Ok(Self { members, links })
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (from, allowed) in OURS {
            for to in self.direct(from).filter(|to| self.members.contains(*to)) {
                if !allowed.contains(&to) && from != "quicproquo-tests" {
                    faults.push(format!("{from} must not depend on {to}"));
                }
            }
        }
        for member in &self.members {
            if OURS.iter().all(|(name, _)| name != member) {
                faults.push(format!("{member} has no place in the graph: see xtask/src/tidy"));
            }
            for to in self.direct(member) {
                for (reserved, owners) in RESERVED {
                    if to.starts_with(reserved) && !owners.contains(&member.as_str()) {
                        faults.push(format!("{member} must not depend on {to}"));
                    }
                }
            }
        }
        for (from, forbidden) in UNREACHABLE {
            let reached = self.reachable(from);
            for to in forbidden.iter().filter(|to| reached.contains(**to)) {
                faults.push(format!("{from} links {to}, directly or through others"));
            }
        }
        faults
    }

    fn direct<'a>(&'a self, from: &str) -> impl Iterator<Item = &'a str> {
        self.links.get(from).into_iter().flatten().map(String::as_str)
    }

    fn reachable<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(next) = open.pop() {
            for to in self.direct(next) {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen
    }
}

fn is_normal(dependency: &Value) -> bool {
    let kinds = dependency["dep_kinds"].as_array();
    kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(&str, &str)]) -> Graph {
        let mut links: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            links.entry((*from).to_owned()).or_default().insert((*to).to_owned());
        }
        Graph { members: OURS.iter().map(|(name, _)| (*name).to_owned()).collect(), links }
    }

    #[test]
    fn the_intended_graph_passes() {
        let edges: Vec<(&str, &str)> =
            OURS.iter().flat_map(|(from, to)| to.iter().map(|to| (*from, *to))).collect();
        assert_eq!(graph(&edges).faults(), Vec::<String>::new());
    }

    #[test]
    fn a_node_that_could_decrypt_is_refused() {
        let direct = graph(&[("quicproquo-node", "quicproquo-core")]).faults();
        assert!(direct.iter().any(|f| f.contains("must not depend on quicproquo-core")));
        let indirect = graph(&[("quicproquo-node", "other"), ("other", "openmls")]).faults();
        assert_eq!(indirect, ["quicproquo-node links openmls, directly or through others"]);
    }

    #[test]
    fn reserved_crates_stay_with_their_owners() {
        let faults = graph(&[("quicproquo-gateway", "capnp-rpc")]).faults();
        assert_eq!(faults, ["quicproquo-gateway must not depend on capnp-rpc"]);
    }
}
