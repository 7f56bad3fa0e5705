"""Validates every example of an OpenAPI document against its schema."""

import json
import sys

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

with open(sys.argv[1], encoding="utf-8") as file:
    document = json.load(file)
registry = Registry().with_resource(
    "urn:document", Resource.from_contents(document, default_specification=DRAFT202012)
)
failures, count = [], 0


def absolute(schema):
    """The schema with its references leading into the document."""
    if isinstance(schema, dict):
        return {
            key: "urn:document" + value if key == "$ref" else absolute(value)
            for key, value in schema.items()
        }
    return [absolute(item) for item in schema] if isinstance(schema, list) else schema


def check(place, schema, example):
    global count
    count += 1
    validator = Draft202012Validator(
        absolute(schema), registry=registry, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    failures.extend(f"{place}: {error.message[:300]}" for error in validator.iter_errors(example))


def bodies(place, content):
    for media_type, body in content.items():
        if media_type == "text/event-stream":
            continue
        schema = body.get("schema", {})
        if "example" in body:
            check(f"{place} {media_type}", schema, body["example"])
        for name, example in body.get("examples", {}).items():
            check(f"{place} {media_type} {name}", schema, example["value"])


for name, response in document["components"].get("responses", {}).items():
    bodies(name, response.get("content", {}))
for name, schema in document["components"]["schemas"].items():
    for field, inner in schema.get("properties", {}).items():
        for example in inner.get("examples", []):
            check(f"{name}.{field}", inner, example)
    for example in schema.get("examples", []):
        check(name, schema, example)
for path, item in document["paths"].items():
    for method, operation in item.items():
        place = f"{method} {path}"
        for parameter in operation.get("parameters", []):
            if "example" in parameter:
                check(f"{place} {parameter['name']}", parameter["schema"], parameter["example"])
        bodies(f"{place} request", operation.get("requestBody", {}).get("content", {}))
        for status, response in operation["responses"].items():
            bodies(f"{place} {status}", response.get("content", {}))
if failures:
    sys.exit("\n".join(failures))
print(f"{count} examples are valid")
