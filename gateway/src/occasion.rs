//! What happens outside of a request of HTTP and still has an id: traced and logged like one.

use http::StatusCode;
use tracing::{Instrument, Span, debug_span, field};

use crate::problem::{Problem, ProblemBody};
use crate::random;

/// What is answered to all that succeeds here: a message was sent.
const CREATED: StatusCode = StatusCode::CREATED;

/// Runs what a request of HTTP could have asked for, in a span of its own; `session` is the
/// connection that it came by.
pub(crate) async fn traced<T>(
    name: &'static str,
    id: &str,
    session: Option<&str>,
    work: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let span = debug_span!(
        parent: None,
        "request",
        otel.name = name,
        otel.kind = "server",
        id,
        session,
        http.response.status_code = field::Empty,
    );
    let done = work.instrument(span.clone()).await;
    let status = done.as_ref().map_or_else(|problem| problem.kind().status(), |_| CREATED);
    span.record("http.response.status_code", status.as_u16());
    log(&span, id, session, status);
    done
}

/// A problem that is about no request; the log has its `instance`.
pub(crate) fn told(problem: Problem, session: Option<&str>) -> ProblemBody {
    let id = random::uuid();
    log(&Span::current(), &id, session, problem.kind().status());
    problem.body(instance(&id))
}

/// How a problem names what it is about.
pub(crate) fn instance(id: &str) -> String {
    format!("urn:uuid:{id}")
}

fn log(span: &Span, id: &str, session: Option<&str>, status: StatusCode) {
    span.in_scope(|| {
        let code = status.as_u16();
        if status.is_server_error() {
            tracing::warn!(id, session, status = code, "answered");
        } else {
            tracing::debug!(id, session, status = code, "answered");
        }
    });
}
