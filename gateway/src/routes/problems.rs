//! A page for every kind of problem, from the table of docs/problems.md.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::Path;
use axum::response::IntoResponse;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use sha2::{Digest, Sha256};

use crate::problem::{Kind, Problem, URN};
use crate::state::AppState;

const DOCUMENT: &str = include_str!("../../../docs/problems.md");
const STYLE: &str = ":root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
    main{max-width:42rem;margin:2rem auto;padding:0 1rem}code{font-size:.95em}";

/// One row of the table.
#[derive(Debug)]
struct Row {
    slug: &'static str,
    status: &'static str,
    retryable: bool,
    meaning: &'static str,
    advice: &'static str,
}

fn rows() -> impl Iterator<Item = Row> {
    DOCUMENT.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        Some(Row {
            slug: cells.next()?.trim_end_matches('`'),
            status: cells.next()?,
            retryable: cells.next()? == "yes",
            meaning: cells.next()?,
            advice: cells.next()?,
        })
    })
}

/// `/problems` and `/problems/{type}`.
pub(crate) fn router() -> Router<AppState> {
    let style = STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    );
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (
            CONTENT_SECURITY_POLICY,
            HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'")),
        ),
    ];
    let pages: BTreeMap<_, _> = rows().map(|row| (row.slug, page(&row))).collect();
    let (list, pages) = (list(), Arc::new(pages));
    let headers_of_list = headers.clone();
    let show = move |Path(slug): Path<String>| async move {
        match pages.get(slug.as_str()) {
            Some(page) => (headers, page.clone()).into_response(),
            None => Problem::new(Kind::NotFound).into_response(),
        }
    };
    let all = move || async move { (headers_of_list, list).into_response() };
    Router::new().route("/problems", get(all)).route("/problems/{type}", get(show))
}

fn page(row: &Row) -> String {
    let Row { slug, status, retryable, meaning, advice } = row;
    let repeat = if *retryable {
        "The same request can succeed later."
    } else {
        "The same request does not succeed later without a change."
    };
    let body = format!(
        "<h1>{}</h1><p><code>{URN}{slug}</code>, HTTP status {status}. {repeat}</p>\
         <h2>What to do</h2><p>{}</p><p><a href=\"../problems\">All kinds of problems</a></p>",
        text(meaning),
        text(advice),
    );
    document(slug, &body)
}

fn list() -> String {
    let mut body = "<h1>Problems</h1><ul>".to_owned();
    for Row { slug, status, meaning, .. } in rows() {
        // Writing to a String cannot fail.
        let _ = write!(
            body,
            "<li><a href=\"problems/{slug}\"><code>{slug}</code></a> ({status}): {}</li>",
            text(meaning)
        );
    }
    body.push_str("</ul>");
    document("Problems", &body)
}

fn document(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head>\
         <body><main>{body}</main></body></html>\n"
    )
}

/// Text of the table as HTML: what is between backticks is code.
fn text(cell: &str) -> String {
    let escaped = cell.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let mut html = String::with_capacity(escaped.len());
    for (index, part) in escaped.split('`').enumerate() {
        if index > 0 {
            html.push_str(if index % 2 == 1 { "<code>" } else { "</code>" });
        }
        html.push_str(part);
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_page_and_every_page_its_kind() {
        let mut kinds: Vec<_> = Kind::ALL.iter().map(|kind| kind.slug()).collect();
        kinds.sort_unstable();
        let mut slugs: Vec<_> = rows().map(|row| row.slug).collect();
        slugs.sort_unstable();
        assert_eq!(slugs, kinds);
        for row in rows() {
            let kind = Kind::ALL.iter().find(|kind| kind.slug() == row.slug).unwrap();
            assert_eq!(row.status, kind.status().as_str(), "{}", row.slug);
            assert_eq!(row.retryable, kind.retryable(), "{}", row.slug);
            let page = page(&row);
            assert!(page.contains(&format!("{URN}{}<", row.slug)), "{page}");
            assert_eq!(page.matches("<code>").count(), page.matches("</code>").count(), "{page}");
        }
    }

    #[test]
    fn text_is_escaped_and_code_is_marked() {
        assert_eq!(text("Give `a<b>` & go."), "Give <code>a&lt;b&gt;</code> &amp; go.");
    }
}
