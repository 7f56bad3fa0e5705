//! The page, and its table in the documents.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::rpc::metered;

fn metrics() -> Metrics {
    Metrics::new(&Clock::from_fn(|| 1_700_000_000), metered::methods())
}

/// Name and type of every family of a page.
fn families(page: &str) -> BTreeSet<(String, String)> {
    page.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Name and type of every row of the table.
fn documented() -> BTreeSet<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter_map(|line| line.strip_prefix("| `qpq_node_")?.split_once("` | "))
        .map(|(name, rest)| {
            let kind = rest.split(" |").next().unwrap();
            (format!("qpq_node_{name}"), kind.to_owned())
        })
        .collect()
}

#[test]
fn the_table_in_the_documents_has_exactly_what_is_exported() {
    let metrics = metrics();
    // A family without members is left out.
    metrics.process.beat_age_seconds.get_or_create(&[("thread", "endpoint".to_owned())]).set(0.0);
    let exported = families(&metrics.page());
    assert!(exported.len() > 30, "{exported:?}");
    let documented = documented();
    let missing: Vec<_> = exported.difference(&documented).collect();
    let gone: Vec<_> = documented.difference(&exported).collect();
    assert!(missing.is_empty(), "not in docs/operations.md: {missing:?}");
    assert!(gone.is_empty(), "in docs/operations.md only: {gone:?}");
}

#[test]
fn a_page_is_well_formed_and_two_nodes_do_not_share_counters() {
    let (one, other) = (metrics(), metrics());
    one.connections.refuse(Refused::NoStream);
    let open = one.connections.open();
    one.calls.begin(0).end(calls::Outcome::Ok);
    one.writer(Half::Queues).failed(StoreFailure::Full);
    let page = one.page();
    for line in [
        "qpq_node_connections_open 1",
        "qpq_node_connections_refused_total{reason=\"no_stream\"} 1",
        "qpq_node_connections_refused_total{reason=\"busy\"} 0",
        "qpq_node_calls_total{method=\"uploadKeyPackage\",code=\"OK\"} 1",
        "qpq_node_call_seconds_count{method=\"uploadKeyPackage\"} 1",
        "qpq_node_store_errors_total{store=\"queues\",operation=\"full\"} 1",
        "qpq_node_start_time_seconds 1700000000",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} in {page}");
    }
    assert!(page.ends_with("# EOF\n"));
    assert!(other.page().contains("qpq_node_connections_accepted_total 0\n"));
    drop(open);
    assert!(one.page().contains("qpq_node_connections_open 0\n"));
}
