//! JSON bodies: limits first, then the type, with a pointer to what is wrong.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use serde::de::DeserializeOwned;

use super::strict::Plain;
use crate::problem::{Kind, Problem};

/// How deep objects and arrays may nest.
const MAX_DEPTH: usize = 32;

/// Reads a JSON object into a type.
///
/// # Errors
/// `JsonInvalid`, with a pointer to the field when there is one.
pub(crate) fn parse_json<T: DeserializeOwned>(text: &[u8]) -> Result<T, Problem> {
    if depth(text) > MAX_DEPTH {
        let detail = format!("nested deeper than {MAX_DEPTH}");
        return Err(Problem::new(Kind::JsonInvalid).detail(detail));
    }
    // Tagged types would take a list as well.
    let root = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if root == Some(&b'[') {
        return Err(
            Problem::new(Kind::JsonInvalid).at("", "invalid type: list, expected an object")
        );
    }
    match Json::from_bytes(text) {
        Ok(Json(Plain(value))) => Ok(value),
        Err(JsonRejection::JsonDataError(error)) => Err(at_path(&error.body_text())),
        Err(error) => Err(Problem::new(Kind::JsonInvalid).detail(message(&error.body_text()))),
    }
}

/// The deepest nesting of a JSON text, well-formed or not.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The text behind the library's introduction.
fn message(text: &str) -> &str {
    text.split_once(": ").map_or(text, |(_, message)| message)
}

/// The library tells `path: message`; the root has no path.
fn at_path(text: &str) -> Problem {
    let text = message(text);
    let (path, message) = match text.split_once(": ") {
        Some((path, message)) if !path.contains(' ') => (path, message),
        _ => ("", text),
    };
    let message = plain_words(message);
    let message = message.as_str();
    let mut pointer = pointer(path);
    if let Some(field) =
        message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next())
    {
        pointer.push('/');
        pointer.push_str(field);
    }
    Problem::new(Kind::JsonInvalid).at(pointer, message)
}

/// The words of the library are those of its programmers.
pub(super) fn plain_words(message: &str) -> String {
    let words = [
        ("invalid type: sequence", "invalid type: list"),
        ("invalid type: map", "invalid type: object"),
        ("unknown variant", "unknown value"),
        ("invalid digit found in string", "not a whole number"),
        ("cannot parse integer from empty string", "not a whole number"),
        ("number too large to fit in target type", "the number is too large"),
        ("number too small to fit in target type", "the number is too small"),
    ];
    words.iter().fold(message.to_owned(), |text, (theirs, ours)| text.replace(theirs, ours))
}

/// `members[0].name` as a JSON pointer.
fn pointer(path: &str) -> String {
    let mut pointer = String::with_capacity(path.len() + 1);
    for part in path.split(['.', '[']).filter(|part| !part.is_empty() && *part != "?") {
        pointer.push('/');
        pointer.push_str(&part.trim_end_matches(']').replace('~', "~0").replace('/', "~1"));
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only parsed")]
        members: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only parsed")]
        name: String,
    }

    fn problem(text: &str) -> serde_json::Value {
        let problem = parse_json::<Outer>(text.as_bytes()).unwrap_err();
        assert_eq!(problem.kind(), Kind::JsonInvalid);
        serde_json::to_value(problem.body(String::new())).unwrap()
    }

    #[test]
    fn errors_point_to_the_field() {
        let wrong = problem(r#"{"members":[{"name":"a"},{"name":7}]}"#);
        assert_eq!(wrong["errors"][0]["pointer"], "/members/1/name");
        let missing = problem(r#"{"members":[{}]}"#);
        assert_eq!(missing["errors"][0]["pointer"], "/members/0/name");
        assert_eq!(problem("{}")["errors"][0]["pointer"], "/members");
        let unknown = problem(r#"{"members":[],"colour":1}"#);
        assert!(unknown["errors"][0]["detail"].as_str().unwrap().contains("colour"), "{unknown}");
    }

    #[test]
    fn malformed_json_says_where() {
        assert!(problem("{").get("detail").unwrap().as_str().unwrap().contains("line 1"));
        assert!(problem("{} {}").get("detail").is_some() || !problem("{} {}")["errors"].is_null());
    }

    #[test]
    fn depth_is_limited_outside_strings() {
        let deep = |n: usize| format!("{{\"a\":{}{}}}", "[".repeat(n), "]".repeat(n));
        assert!(parse_json::<serde_json::Value>(deep(31).as_bytes()).is_ok());
        assert!(parse_json::<serde_json::Value>(deep(32).as_bytes()).is_err());
        let text = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(100));
        assert!(parse_json::<serde_json::Value>(text.as_bytes()).is_ok());
    }

    #[test]
    fn a_list_is_no_object_at_the_root_or_inside() {
        for (text, pointer) in [
            (r"[[]]", ""),
            (r#" [[{"name":"a"}]]"#, ""),
            (r#"{"members":[["a"]]}"#, "/members/0"),
            (r#"{"members":[{"name":"a"},[]]}"#, "/members/1"),
        ] {
            let problem = problem(text);
            let error = &problem["errors"][0];
            assert_eq!(error["pointer"], pointer, "{text}");
            let detail = error["detail"].as_str().unwrap();
            assert!(detail.starts_with("invalid type: list, expected an object"), "{detail}");
        }
        let wrong = problem(r#"{"members":{"name":"a"}}"#);
        let detail = wrong["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with("invalid type: object, expected a list"), "{detail}");
    }
}
