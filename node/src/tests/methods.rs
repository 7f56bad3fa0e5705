//! The RPC methods that the schemas declare, so that no table can forget one.

use std::collections::BTreeMap;

use quicproquo_schemas::code::ErrorCode;

const NODE: &str = include_str!("../../../schemas/capnp/node.capnp");
const SESSION: &str = include_str!("../../../schemas/capnp/session.capnp");

const DOCUMENT: &str = include_str!("../../../docs/node.md");

/// What the document says any method can answer.
const ANYWHERE: [ErrorCode; 4] =
    [ErrorCode::RateLimited, ErrorCode::BadRequest, ErrorCode::Internal, ErrorCode::ShuttingDown];

/// Name and ordinal of each method of an interface.
pub(crate) fn methods(interface: &str) -> Vec<(String, u16)> {
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

/// The cells of the document's table rows whose first cell begins with `start`.
fn rows(start: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let start = format!("| {start}");
    let lines = DOCUMENT.lines().filter(move |line| line.starts_with(&start));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
}

fn by_number(text: &str) -> ErrorCode {
    let found = ErrorCode::ALL.iter().find(|code| format!("E{:03}", code.number()) == text);
    *found.unwrap_or_else(|| panic!("docs/node.md: there is no code {text}"))
}

/// The codes that the document gives a method, by `Interface.method`.
pub(crate) fn documented() -> BTreeMap<String, Vec<ErrorCode>> {
    rows("`")
        .filter(|cells| cells.len() == 2 && cells[0].contains('.'))
        .map(|cells| {
            let codes = cells[1].split_whitespace().map(by_number).chain(ANYWHERE);
            (cells[0].trim_matches('`').to_owned(), codes.collect())
        })
        .collect()
}

#[test]
fn the_document_has_every_code_and_every_method_and_nothing_else() {
    let listed: Vec<(ErrorCode, &str)> =
        rows("E0").map(|cells| (by_number(cells[0]), cells[1])).collect();
    let all: Vec<(ErrorCode, &str)> =
        ErrorCode::ALL.iter().map(|code| (*code, code.name())).collect();
    assert_eq!(listed, all, "the table of codes in docs/node.md");

    let documented: Vec<String> = documented().into_keys().collect();
    let mut declared: Vec<String> = ["NodeService", "Node", "Session"]
        .into_iter()
        .flat_map(|of| methods(of).into_iter().map(move |(name, _)| format!("{of}.{name}")))
        .collect();
    declared.sort_unstable();
    assert_eq!(documented, declared, "the table of methods in docs/node.md");
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
        let count = u16::try_from(ordinals.len()).unwrap();
        assert!(ordinals.iter().copied().eq(0..count), "{interface}: {ordinals:?}");
    }
}
