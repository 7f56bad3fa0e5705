//! Files through the gateway: streamed in and out, whole or in part, and nobody else's.

use std::path::Path;
use std::time::Duration;

use quicproquo_tests::bot::{find_token, messages};
use quicproquo_tests::{Answer, Api, Bot, LONG, Launch, bots, pair, wait_for};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

fn post(api: &Api, content: &[u8]) -> RequestBuilder {
    let request = api.request(Method::POST, "/v1/attachments?filename=report.pdf");
    request.header("Content-Type", "application/pdf").body(content.to_vec())
}

async fn upload(bot: &Bot, content: &[u8]) -> Value {
    bot.api.send(post(&bot.api, content)).await.expect(201)
}

/// Sends an attachment and waits until another bot has it.
async fn share(from: &Bot, to: &Bot, group: &str, attachment: &Value) -> Value {
    let tail = to.tail().await;
    let file = json!({ "type": "file", "content": attachment });
    from.api.post(&messages(group), &file).await.expect(201);
    let event = wait_for("the file", LONG, || async {
        to.events(&tail).await.into_iter().find(|event| event["data"]["type"] == "file")
    });
    event.await["data"].clone()
}

/// Status, headers and bytes, or why there are not all of them.
async fn get(api: &Api, path: &str, headers: &[(&str, &str)]) -> (Answer, Result<Vec<u8>, String>) {
    let request = headers.iter().fold(api.request(Method::GET, path), |r, (n, v)| r.header(*n, *v));
    let response = request.send().await.expect("the gateway answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.map(|b| b.to_vec()).map_err(|error| error.to_string());
    let text = String::from_utf8_lossy(bytes.as_deref().unwrap_or_default()).into_owned();
    (Answer { status, headers, text }, bytes)
}

fn at(attachment: &Value) -> String {
    format!("/v1/attachments/{}", attachment["attachment_id"].as_str().unwrap())
}

#[tokio::test]
async fn a_file_goes_from_bot_to_bot() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let [alice, bob, carol] = bots(&up, ["alice", "bob", "carol"]).await;
    let group = alice.create_group("pair", &[&bob]).await;
    bob.accept(&group).await;
    let bytes = content(300_000);
    let uploaded = upload(&alice, &bytes).await;
    assert_eq!((&uploaded["name"], &uploaded["size"]), (&json!("report.pdf"), &json!(300_000)));
    let path = at(&uploaded);
    bob.api.get(&path).await.expect_problem(404, "attachment-not-found");
    assert_eq!(get(&alice.api, &path, &[]).await.1, Ok(bytes.clone()));

    let message = share(&alice, &bob, &group, &uploaded).await;
    assert_eq!(message["content"]["attachment_id"], uploaded["attachment_id"]);
    assert_eq!(message["content"]["mime"], "application/pdf");
    for hidden in ["key", "blobs"] {
        assert!(message["content"].get(hidden).is_none(), "{message}");
    }
    let (answer, got) = get(&bob.api, &path, &[]).await;
    assert!(answer.status == 200 && got == Ok(bytes.clone()), "{}", answer.status);
    for (name, value) in [
        ("content-type", "application/pdf"),
        ("content-length", "300000"),
        ("content-disposition", "attachment; filename=\"report.pdf\"; filename*=UTF-8''report.pdf"),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    let tag = answer.header("etag").to_owned();

    // Parts of it.
    for (range, part) in [
        ("bytes=0-0", Some(0..1)),
        ("bytes=65535-65536", Some(65_535..65_537)),
        ("bytes=299999-", Some(299_999..300_000)),
        ("bytes=-70000", Some(230_000..300_000)),
        ("bytes=300000-", None),
        ("bytes=-0", None),
    ] {
        let (answer, got) = get(&bob.api, &path, &[("Range", range)]).await;
        let Some(part) = part else {
            answer.expect_problem(416, "range-refused");
            assert_eq!(answer.header("content-range"), "bytes */300000");
            continue;
        };
        assert_eq!(answer.status, 206, "{range}");
        let expected = format!("bytes {}-{}/300000", part.start, part.end - 1);
        assert_eq!(answer.header("content-range"), expected);
        assert!(got.as_deref() == Ok(&bytes[part]), "{range}");
    }
    for (headers, status, length) in [
        (vec![("Range", "bytes=0-1,5-6")], 200, 300_000),
        (vec![("Range", "bytes=0-1"), ("If-Range", "\"other\"")], 200, 300_000),
        (vec![("Range", "bytes=0-1"), ("If-Range", &tag)], 206, 2),
        (vec![("If-None-Match", &tag)], 304, 0),
    ] {
        let (answer, got) = get(&bob.api, &path, &headers).await;
        assert_eq!((answer.status, got.unwrap().len()), (status, length), "{headers:?}");
    }
    let head = bob.api.send(bob.api.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.header("content-length"), &head.text[..]), (200, "300000", ""));

    // Who is not in the group, or whose token is not for it, learns nothing.
    carol.api.get(&path).await.expect_problem(404, "attachment-not-found");
    let other = bob.create_group("other", &[]).await;
    let issue = async |body: Value| {
        let tokens = format!("/v1/bots/{}/tokens", bob.id);
        let issued = up.admin().post(&tokens, &body).await.expect(201);
        Api::new(&up.url(), find_token(&issued).unwrap())
    };
    let read = |groups: &str| json!({ "scopes": ["messages:read"], "groups": [groups] });
    let elsewhere = issue(read(&other)).await;
    elsewhere.get(&path).await.expect_problem(404, "attachment-not-found");
    assert_eq!(get(&issue(read(&group)).await, &path, &[]).await.0.status, 200);
    let writer = issue(json!({ "scopes": ["messages:send"] })).await;
    writer.get(&path).await.expect_problem(403, "scope-missing");
    let reader = issue(read(&group)).await;
    reader.send(post(&reader, b"x")).await.expect_problem(403, "scope-missing");
    let admin = up.admin();
    admin.send(post(&admin, b"x")).await.expect_problem(403, "admin-token-refused");

    // It is there after a restart, and away when the message is.
    let up = up.stop().await.start().await;
    let again = |bot: &Bot| Api::new(&up.url(), bot.api.token());
    let (alice, bob) = (again(&alice), again(&bob));
    let (_, got) = get(&bob, &path, &[]).await;
    assert_eq!(got, Ok(bytes));
    let id = message["message_id"].as_str().unwrap();
    alice.delete(&format!("{}/{id}", messages(&group))).await.expect(200);
    wait_for("the file to be gone", LONG, || async {
        (get(&bob, &path, &[]).await.0.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn uploads_are_bounded_and_done_once() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let api = &alice.api;
    let once = |bytes: &[u8]| api.send(post(api, bytes).header("Idempotency-Key", "upload"));
    let (first, again) = (once(b"content").await, once(b"content").await);
    assert_eq!(first.expect(201), again.expect(201));
    assert_eq!(again.header("idempotency-replayed"), "true");
    once(b"other").await.expect_problem(422, "idempotency-mismatch");

    // An empty file is a file.
    let empty = upload(&alice, b"").await;
    share(&alice, &bob, &group, &empty).await;
    let (answer, got) = get(&bob.api, &at(&empty), &[]).await;
    assert_eq!((answer.status, got), (200, Ok(Vec::new())));

    let limit = 100 * 1024 * 1024;
    let declared = api.request(Method::POST, "/v1/attachments").header("Expect", "100-continue");
    let declared = declared.body(vec![0; limit + 1]);
    api.send(declared).await.expect_problem(413, "too-large");
    let compressed = post(api, b"x").header("Content-Encoding", "gzip");
    api.send(compressed).await.expect_problem(415, "media-type-refused");
    let message = json!({ "type": "file", "content": { "attachment_id": "00".repeat(16) } });
    api.post(&messages(&group), &message).await.expect_problem(404, "attachment-not-found");
    let message = json!({ "type": "file", "content": { "name": "x" } });
    api.post(&messages(&group), &message).await.expect_problem(400, "request-invalid");
    api.get("/v1/attachments/x").await.expect_problem(404, "not-found");
}

/// 100 MiB are two blobs at the node, since sealing adds to them.
#[tokio::test]
async fn a_file_of_the_largest_size_comes_and_goes_without_being_in_memory() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let (alice, bob, group) = pair(&up).await;
    let bytes = content(100 * 1024 * 1024);
    let request = post(&alice.api, &bytes).timeout(Duration::from_mins(3));
    let uploaded = alice.api.send(request).await.expect(201);
    share(&alice, &bob, &group, &uploaded).await;
    let request = bob.api.request(Method::GET, &at(&uploaded)).timeout(Duration::from_mins(3));
    let got = request.send().await.unwrap().bytes().await.unwrap();
    assert!(got == bytes, "{} bytes", got.len());
    let (_, end) = get(&bob.api, &at(&uploaded), &[("Range", "bytes=-10")]).await;
    assert!(end.as_deref() == Ok(&bytes[bytes.len() - 10..]));
    up.stop().await;
}

/// Changes a byte of every blob that the node has.
async fn tamper(data: &Path, position: usize) {
    let database = data.join("node/node.db");
    let mut connection = SqliteConnectOptions::new().filename(&database).connect().await.unwrap();
    let query = "SELECT blob, position, data FROM pieces";
    let pieces: Vec<(i64, i64, Vec<u8>)> =
        sqlx::query_as(query).fetch_all(&mut connection).await.unwrap();
    for (blob, place, mut bytes) in pieces {
        bytes[position] ^= 1;
        sqlx::query("UPDATE pieces SET data = ? WHERE blob = ? AND position = ?")
            .bind(bytes)
            .bind(blob)
            .bind(place)
            .execute(&mut connection)
            .await
            .unwrap();
    }
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_the_node_changed_is_never_given_out() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    let (alice, bob, group) = pair(&up).await;
    let bytes = content(200_000);
    let uploaded = upload(&alice, &bytes).await;
    share(&alice, &bob, &group, &uploaded).await;
    let path = at(&uploaded);
    assert_eq!(get(&bob.api, &path, &[]).await.1, Ok(bytes.clone()), "untouched it is whole");

    let stopped = up.stop().await;
    tamper(&data, 100_000).await;
    let up = stopped.start().await;
    let api = Api::new(&up.url(), bob.api.token());
    let answer = wait_for("the node to be reached", LONG, || async {
        let (answer, _) = get(&api, &path, &[]).await;
        (answer.status != 503).then_some(answer)
    })
    .await;
    answer.expect_problem(502, "attachment-damaged");
    // The damage is behind the first chunk: the answer has begun, and breaks off.
    let (answer, got) = get(&api, &path, &[("Range", "bytes=0-199998")]).await;
    assert_eq!(answer.status, 206);
    assert!(got.is_err(), "{} bytes were taken for the whole", got.unwrap().len());
    let (_, got) = get(&api, &path, &[("Range", "bytes=0-65535")]).await;
    assert_eq!(got, Ok(bytes[..65_536].to_vec()));
}

#[tokio::test]
async fn an_upload_that_is_killed_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let data = dir.path().join("up");
    let up = Launch::up(&data).start().await;
    let (alice, bob, group) = pair(&up).await;
    let request = post(&alice.api, &content(60 * 1024 * 1024));
    let uploading = tokio::spawn(request.header("Idempotency-Key", "k").send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    let up = up.kill().await.start().await;
    let _ = uploading.await.unwrap();
    let uploads: Vec<_> = std::fs::read_dir(data.join("gateway/uploads")).unwrap().collect();
    assert!(uploads.is_empty(), "{uploads:?}");
    // The same request does it then.
    let bytes = content(1000);
    let alice = Bot { api: Api::new(&up.url(), alice.api.token()), ..alice };
    let bob = Bot { api: Api::new(&up.url(), bob.api.token()), ..bob };
    let request = post(&alice.api, &bytes).header("Idempotency-Key", "k");
    let uploaded = alice.api.send(request).await.expect(201);
    share(&alice, &bob, &group, &uploaded).await;
    assert_eq!(get(&bob.api, &at(&uploaded), &[]).await.1, Ok(bytes));
}
