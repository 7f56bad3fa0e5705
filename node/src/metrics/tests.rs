//! The page.

use super::*;

fn metrics() -> Metrics {
    Metrics::new(&Clock::from_fn(|| 1_700_000_000), metered::methods())
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
