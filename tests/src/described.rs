//! The operations of the API's description, made ready to be called.

use reqwest::{Method, RequestBuilder};
use serde_json::{Map, Value, json};

use crate::api::Api;

/// What belongs to one bot, or to the members of a group.
const OWN: [&str; 6] = [
    "{group_id}",
    "{webhook_id}",
    "{invitation_id}",
    "{attachment_id}",
    "{consumer}",
    "{delivery_id}",
];

/// One operation of the description, ready to be called.
#[derive(Debug)]
pub struct Operation {
    /// Method and path as the description has them.
    pub name: String,
    /// The method.
    pub method: Method,
    /// The path with its parameters filled in, and what the query needs.
    pub path: String,
    /// Whether the admin token opens it; else a bot's does.
    pub of_admin: bool,
    /// Whether it names something of the bot.
    pub has_ids: bool,
    /// Its first tag.
    pub tag: String,
    /// The headers that it takes.
    pub headers: Vec<String>,
    /// A body with what is required.
    pub body: Option<Value>,
}

/// What there is: the values of parameters, and of the fields of bodies.
#[derive(Debug)]
pub struct Things {
    ids: Map<String, Value>,
}

impl Things {
    /// From an object.
    pub fn new(ids: &Value) -> Self {
        Self { ids: ids.as_object().expect("an object").clone() }
    }

    fn text(&self, name: &str) -> &str {
        self.ids.get(name).and_then(Value::as_str).unwrap_or("x")
    }

    fn path(&self, template: &str) -> String {
        let fill = |part: &str| match part.strip_prefix('{') {
            Some(name) => self.text(name.trim_end_matches('}')).to_owned(),
            None => part.to_owned(),
        };
        template.split('/').map(fill).collect::<Vec<_>>().join("/")
    }

    /// The parameters that an operation cannot do without.
    fn query(&self, operation: &Value) -> String {
        let all = operation["parameters"].as_array().into_iter().flatten();
        let needed = all.filter(|one| one["in"] == "query" && one["required"] == true);
        let pairs: Vec<_> = needed
            .filter_map(|one| one["name"].as_str())
            .map(|name| format!("{name}={}", self.text(name)))
            .collect();
        if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
    }

    /// A body that names what there is.
    fn body(&self, mut body: Value) -> Value {
        for (name, value) in body.as_object_mut().into_iter().flatten() {
            if let Some(thing) = self.ids.get(name) {
                value.clone_from(thing);
            }
        }
        body
    }
}

impl Operation {
    /// The request, not sent yet.
    pub fn request(&self, api: &Api) -> RequestBuilder {
        let request = api.request(self.method.clone(), &self.path);
        match &self.body {
            Some(body) => request.json(body),
            None => request,
        }
    }
}

/// Every operation that needs a token.
pub fn operations(document: &Value, things: &Things) -> Vec<Operation> {
    let mut all = Vec::new();
    for (template, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("an item") {
            let security = operation["security"].as_array().filter(|kinds| !kinds.is_empty());
            // Some routes need no token.
            let Some(security) = security else { continue };
            let of = |name| security.iter().any(|kind| kind.get(name).is_some());
            let (of_admin, of_bot) = (of("admin_token"), of("bot_token"));
            assert!(of_admin != of_bot, "{method} {template}: one kind of token opens a route");
            let method: Method = method.to_uppercase().parse().expect("a method");
            let content = operation["requestBody"]["content"].as_object();
            let body = match content.and_then(|content| content.get("application/json")) {
                Some(media) => Some(things.body(instance(document, &media["schema"]))),
                None => (method != Method::GET).then(|| json!({})),
            };
            let query = things.query(operation);
            let in_body = body.as_ref().is_some_and(|body| !body["consumer"].is_null());
            let names_consumer = query.contains("consumer=") || in_body;
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let headers = parameters.filter(|one| one["in"] == "header");
            all.push(Operation {
                name: format!("{method} {template}"),
                path: things.path(template) + &query,
                of_admin,
                has_ids: OWN.iter().any(|id| template.contains(id)) || names_consumer,
                tag: operation["tags"][0].as_str().unwrap_or_default().to_owned(),
                headers: headers.filter_map(|one| Some(one["name"].as_str()?.to_owned())).collect(),
                body,
                method,
            });
        }
    }
    all
}

/// An instance of a schema: what is required, or else one field, with its example.
fn instance(document: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("a schema");
        return instance(document, target);
    }
    for key in ["example", "const", "default"] {
        if let Some(value) = schema.get(key) {
            return value.clone();
        }
    }
    if let Some(value) = schema["enum"].get(0).or_else(|| schema["examples"].get(0)) {
        return value.clone();
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(first) = schema[key].get(0) {
            return instance(document, first);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let objects = parts.iter().map(|part| instance(document, part));
        return objects.filter_map(|o| o.as_object().cloned()).flatten().collect();
    }
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("object") => {
            let required = schema["required"].as_array().into_iter().flatten();
            let mut names: Vec<_> = required.filter_map(Value::as_str).collect();
            if names.is_empty() {
                // A change of nothing is refused before anybody looks whose it is.
                let all = schema["properties"].as_object().into_iter().flat_map(Map::keys);
                names.extend(all.take(1).map(String::as_str));
            }
            names
                .into_iter()
                .map(|name| (name.to_owned(), instance(document, &schema["properties"][name])))
                .collect()
        }
        Some("array") => json!([]),
        Some("integer" | "number") => json!(1),
        Some("boolean") => json!(true),
        _ => json!("x"),
    }
}
