//! `/v1/attachments`.

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures::stream;
use http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use quicproquo_client::{
    Attachment, AttachmentId, Download, GroupId, Idempotency, MAX_ATTACHMENT, Outcome, Session,
    SessionError,
};

use crate::auth::{Bot, Scope};
use crate::extract::file::{Wanted, disposition, file_name, is_media_type, media_type, wanted};
use crate::extract::{Params, Raw, Segment};
use crate::idempotency::fingerprint;
use crate::model::{AttachmentDto, UploadParams};
use crate::openapi::{Denied, Idempotent, Ranged, Refused, Unsatisfied};
use crate::problem::{Kind, Problem};
use crate::reply::Reply;
use crate::state::AppState;

const OCTETS: &str = "application/octet-stream";
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Upload a file, to be sent in a message of type `file`.
///
/// The body is the file as it is, at most 100 MiB, its media type in `Content-Type`, its name in
/// `Content-Disposition` or `filename`. It is encrypted as it comes; the node gets what it cannot
/// read, and keeps it for 30 days. Whoever receives the message gets the key with it.
#[utoipa::path(
    post, path = "/v1/attachments", tag = "attachments", params(UploadParams, Idempotent),
    request_body(
        content = [u8], content_type = "application/octet-stream",
        description = "The file, of any media type."
    ),
    responses((status = 201, body = AttachmentDto, description = "The attachment."), Refused),
    security(("bot_token" = ["messages:send"]))
)]
pub(crate) async fn upload_attachment(
    bot: Bot,
    State(state): State<AppState>,
    Params(params): Params<UploadParams>,
    request: Raw<MAX_ATTACHMENT>,
) -> Result<Reply<AttachmentDto>, Problem> {
    let done = upload(&bot, &state, params.filename.as_deref(), request).await?;
    Ok(Reply::new(StatusCode::CREATED, done.value.into()).replayed(done.replayed))
}

/// Takes a file as it comes.
pub(crate) async fn upload(
    bot: &Bot,
    state: &AppState,
    filename: Option<&str>,
    mut request: Raw<MAX_ATTACHMENT>,
) -> Result<Outcome<Attachment>, Problem> {
    bot.need(Scope::MessagesSend)?;
    let name = file_name(&request.headers, filename);
    let mime = media_type(&request.headers);
    let key = request.key.take();
    let held = key.as_ref().map(|key| {
        // Keys are a bot's own; no key of another route has this form.
        let running = state.running.hold(format!("attachment\n{}\n{key}", bot.record.bot_id));
        running.ok_or(Problem::new(Kind::IdempotencyRunning))
    });
    let _held = held.transpose()?;
    let mut upload = bot.session.upload(name.clone(), mime.clone())?;
    while let Some(bytes) = request.next().await? {
        upload.write(&bytes).await?;
    }
    let idempotency = key.map(|key| {
        let about = format!("/v1/attachments?{name:?}&{mime:?}");
        Idempotency { key, fingerprint: fingerprint("POST", &about, &upload.content_hash()) }
    });
    Ok(upload.finish(idempotency).await?)
}

/// Download a file that was sent or received.
///
/// Each part is checked before it is given out; an answer that ends early is not complete. `Range`
/// gives a part of it. Whatever the file says it is, browsers save it and do not show it.
#[utoipa::path(
    get, path = "/v1/attachments/{attachment_id}", tag = "attachments",
    params(("attachment_id" = String, Path, description = "The attachment's id."), Ranged),
    responses(
        (
            status = 200, body = [u8], content_type = "application/octet-stream",
            description = "The file, with its own media type.",
            headers(
                ("ETag" = String, description = "Names the file; it never changes."),
                ("Content-Disposition" = String, description = "`attachment`, with its name."),
                ("Accept-Ranges" = String, description = "`bytes`.")
            )
        ),
        (
            status = 206, body = [u8], content_type = "application/octet-stream",
            description = "The part of it that was asked for.",
            headers(
                ("ETag" = String, description = "Names the file; it never changes."),
                ("Content-Disposition" = String, description = "`attachment`, with its name."),
                ("Accept-Ranges" = String, description = "`bytes`.")
            )
        ),
        (
            status = 304, description = "It is the one named in `If-None-Match`.",
            headers(("ETag" = String, description = "Names the file; it never changes."))
        ),
        Denied, Unsatisfied
    ),
    security(("bot_token" = ["messages:read"]))
)]
pub(crate) async fn download_attachment(
    bot: Bot,
    Segment(id): Segment<AttachmentId>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    download(&bot, id, &headers).await
}

/// Gives a file, or the part of it that the headers ask for.
pub(crate) async fn download(
    bot: &Bot,
    id: AttachmentId,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    bot.need(Scope::MessagesRead)?;
    let allowed = |group: &GroupId| bot.grant.allows_group(group);
    let groups =
        bot.grant.groups.is_some().then_some(&allowed as &(dyn Fn(&GroupId) -> bool + Sync));
    let attachment = bot.session.attachment(&id, groups).await?;
    serve(&bot.session, &attachment, headers).await
}

/// Gives an attachment, or the part of it that the headers ask for.
pub(crate) async fn serve(
    session: &Session,
    attachment: &Attachment,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let id = attachment.id;
    let tag = format!("\"{id}\"");
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if text(IF_NONE_MATCH).is_some_and(|tags| tags == "*" || tags.contains(&tag)) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let range = text(RANGE).filter(|_| text(IF_RANGE).is_none_or(|wanted| wanted == tag));
    let size = attachment.size;
    let (status, range) = match wanted(range, size) {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(range) => (StatusCode::PARTIAL_CONTENT, range),
        Wanted::Nothing => {
            let mut refused = Problem::new(Kind::RangeRefused).into_response();
            put(refused.headers_mut(), CONTENT_RANGE, &format!("bytes */{size}"));
            return Ok(refused);
        }
    };
    let mut download = session.download(attachment, range.clone())?;
    // What is wrong from the beginning has an answer of its own.
    let first = download.next().await?;
    let mut response = Response::new(body(first, download));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    describe(headers, attachment);
    put(headers, ETAG, &tag);
    put(headers, CONTENT_LENGTH, &(range.end - range.start).to_string());
    if status == StatusCode::PARTIAL_CONTENT {
        let part = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        put(headers, CONTENT_RANGE, &part);
    }
    Ok(response)
}

/// Headers that make a file inert, whatever is in it.
fn describe(headers: &mut HeaderMap, attachment: &Attachment) {
    let mime = attachment.mime.as_deref().filter(|mime| is_media_type(mime));
    put(headers, CONTENT_TYPE, mime.unwrap_or(OCTETS));
    put(headers, CONTENT_DISPOSITION, &disposition(attachment.name.as_deref()));
    put(headers, CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'; frame-ancestors 'none'");
    put(headers, RESOURCE_POLICY, "same-origin");
    put(headers, ACCEPT_RANGES, "bytes");
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}

/// The bytes as they come. When some are damaged the connection breaks.
fn body(first: Option<Vec<u8>>, download: Download) -> Body {
    let parts = stream::unfold((first, Some(download)), |(first, download)| async move {
        if let Some(first) = first {
            return Some((Ok(first), (None, download)));
        }
        let mut download = download?;
        match download.next().await {
            Ok(bytes) => bytes.map(|bytes| (Ok(bytes), (None, Some(download)))),
            Err(error) => {
                tracing::warn!(%error, "a download is broken off");
                Some((Err::<Vec<u8>, SessionError>(error), (None, None)))
            }
        }
    });
    Body::from_stream(parts)
}
