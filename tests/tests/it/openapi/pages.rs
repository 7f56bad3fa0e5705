//! Every list that has pages is read one item at a time, by `next` and by the `Link` header, and
//! has in the end what it has as a whole.

use std::collections::BTreeMap;

use quicproquo_tests::bot::messages;
use quicproquo_tests::{Api, LONG, Launch, Socket, bots, wait_for, within};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::committed;

/// Filters that a link to the next page must keep.
const JOINED: &str = "types=group.joined,message.received";

/// Operations that take `limit`, by path.
fn paged() -> Vec<String> {
    let document = committed();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("an object") {
        let parameters = item["get"]["parameters"].as_array().into_iter().flatten();
        if parameters.into_iter().any(|one| one["name"] == "limit") {
            found.push(path.clone());
        }
    }
    found
}

/// The target of a `Link` header with `rel="next"`.
fn link(header: &str) -> Option<&str> {
    header.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")
}

/// All items of a list, one by one.
async fn one_by_one(api: &Api, path: &str) -> Vec<Value> {
    let join = if path.contains('?') { '&' } else { '?' };
    let mut next = Some(format!("{path}{join}limit=1"));
    let mut found = Vec::new();
    while let Some(path) = next {
        let answer = api.get(&path).await;
        let page = answer.expect(200);
        let items = page["items"].as_array().expect("items");
        assert!(items.len() <= 1, "{path}: {page}");
        next = link(answer.header("link")).map(str::to_owned);
        match (&next, page["next"].as_str()) {
            (Some(link), Some(cursor)) => assert!(link.contains(cursor), "{link} {cursor}"),
            (None, None) => {}
            other => panic!("{path}: {other:?}"),
        }
        // The log of events goes on for ever.
        if items.is_empty() {
            break;
        }
        found.extend(items.iter().cloned());
    }
    found
}

#[tokio::test]
async fn every_list_is_the_same_in_pages_and_as_a_whole() {
    let dir = TempDir::new().unwrap();
    let target = "http://127.0.0.1:9";
    let up = Launch::up(&dir.path().join("up")).arg("--webhook-target", target).start().await;
    let [alice, bob] = bots(&up, ["alice", "bob"]).await;
    let begin = bob.tail().await;
    let mut groups = Vec::new();
    for name in ["one", "two", "three", "four"] {
        groups.push(alice.create_group(name, &[&bob]).await);
    }
    // Two invitations are accepted, two stay.
    for group in &groups[..2] {
        bob.accept(group).await;
    }
    for name in ["main", "other"] {
        bob.api
            .get(&format!("/v1/events?timeout=0&consumer={name}&after={begin}"))
            .await
            .expect(200);
    }
    let mut hooks = Vec::new();
    for path in ["/hook", "/other"] {
        let hook = json!({ "url": format!("{target}{path}"), "types": ["message.received"] });
        let hook = bob.api.post("/v1/webhooks", &hook).await.expect(201);
        hooks.push(hook["webhook_id"].as_str().unwrap().to_owned());
    }
    let tokens = format!("/v1/bots/{}/tokens", bob.id);
    up.admin().post(&tokens, &json!({ "label": "second" })).await.expect(201);
    for group in &groups[..2] {
        alice.say(group, "one").await;
        alice.say(group, "two").await;
    }
    // Nobody acknowledges them, so one of each group is set aside.
    let ear = "consumer=main&lease=1000&types=message.received";
    bob.api.delete("/v1/events/consumers/main").await.expect(204);
    let mut ear = Socket::open(&bob.api, &format!("{ear}&after={begin}")).await;
    within("an event of each group to be set aside", LONG, async {
        loop {
            ear.frame().await.expect("a frame");
            let parked = bob.api.get("/v1/events/parked?consumer=main").await.expect(200);
            if parked["items"].as_array().is_some_and(|items| items.len() == 2) {
                return;
            }
        }
    })
    .await;
    drop(ear);
    let deliveries = format!("/v1/webhooks/{}/deliveries?state=pending", hooks[0]);
    wait_for("deliveries", LONG, || async {
        let all = bob.api.get(&deliveries).await.expect(200);
        (all["items"].as_array().unwrap().len() >= 2).then_some(())
    })
    .await;

    let admin = up.admin();
    // By the path in the description: who asks, where, and by what an item is known.
    let lists: BTreeMap<&str, (&Api, String, &str)> = BTreeMap::from([
        ("/v1/bots", (&admin, "/v1/bots".to_owned(), "bot_id")),
        ("/v1/bots/{bot_id}/tokens", (&admin, tokens, "token_id")),
        (
            "/v1/events",
            (&bob.api, format!("/v1/events?timeout=0&after={begin}&{JOINED}"), "cursor"),
        ),
        ("/v1/events/consumers", (&bob.api, "/v1/events/consumers".to_owned(), "name")),
        (
            "/v1/events/parked",
            (&bob.api, "/v1/events/parked?consumer=main".to_owned(), "delivery_id"),
        ),
        ("/v1/groups", (&bob.api, "/v1/groups".to_owned(), "group_id")),
        (
            "/v1/groups/{group_id}/members",
            (&bob.api, format!("/v1/groups/{}/members", groups[0]), "identity"),
        ),
        ("/v1/groups/{group_id}/messages", (&bob.api, messages(&groups[0]), "message_id")),
        ("/v1/invitations", (&bob.api, "/v1/invitations".to_owned(), "invitation_id")),
        ("/v1/webhooks", (&bob.api, "/v1/webhooks".to_owned(), "webhook_id")),
        ("/v1/webhooks/{webhook_id}/deliveries", (&bob.api, deliveries, "delivery_id")),
    ]);
    assert_eq!(lists.keys().copied().collect::<Vec<_>>(), paged());
    for (name, (api, path, id)) in lists {
        let ids = |items: &[Value]| {
            let mut ids: Vec<_> =
                items.iter().map(|item| item[id].as_str().expect(id).to_owned()).collect();
            ids.sort();
            ids
        };
        let whole = ids(api.get(&path).await.expect(200)["items"].as_array().expect("items"));
        let pages = ids(&one_by_one(api, &path).await);
        assert!(whole.len() >= 2, "{name}: only {whole:?}");
        assert_eq!(pages, whole, "{name}");
    }
    up.stop().await;
}
