//! The RPC methods that the schemas declare, so that no table can forget one.

const NODE: &str = include_str!("../../../schemas/capnp/node.capnp");
const SESSION: &str = include_str!("../../../schemas/capnp/session.capnp");

/// Name and ordinal of each method of an interface.
pub(super) fn methods(interface: &str) -> Vec<(String, u16)> {
    let heading = format!("interface {interface} ");
    let text = [NODE, SESSION]
        .into_iter()
        .find_map(|schema| schema.split(heading.as_str()).nth(1))
        .expect("the interface is declared");
    // The first line that closes at the margin ends it.
    let body = text.split("\n}").next().expect("the interface ends");
    body.lines().filter_map(method).collect()
}

/// `  name @ordinal (..`.
fn method(line: &str) -> Option<(String, u16)> {
    let (name, rest) = line.trim().split_once(" @")?;
    let (ordinal, _) = rest.split_once(" (")?;
    let is_name = name.chars().all(char::is_alphanumeric);
    is_name.then(|| Some((name.to_owned(), ordinal.parse().ok()?))).flatten()
}

#[test]
fn the_published_interface_has_its_eight_methods() {
    let names: Vec<String> = methods("NodeService").into_iter().map(|(name, _)| name).collect();
    let published = [
        "uploadKeyPackage",
        "fetchKeyPackage",
        "enqueue",
        "fetch",
        "fetchWait",
        "health",
        "uploadHybridKey",
        "fetchHybridKey",
    ];
    assert_eq!(names, published);
    for interface in ["Node", "Session", "Sink"] {
        let ordinals: Vec<u16> = methods(interface).into_iter().map(|(_, at)| at).collect();
        assert!(!ordinals.is_empty());
        assert!(ordinals.iter().copied().eq(0..), "{interface}: {ordinals:?}");
    }
}
