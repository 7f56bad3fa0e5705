"""Validates the AsyncAPI document, and what came over the wire by it.

Reads {"document", "messages": [{"name", "payload"}]} from standard input; the argument is the JSON
Schema of AsyncAPI 3.0. Prints how many messages were validated.
"""

import json
import sys

from jsonschema import Draft7Validator, Draft202012Validator

with open(sys.argv[1], encoding="utf-8") as file:
    specification = json.load(file)
given = json.load(sys.stdin)
document = given["document"]

Draft7Validator.check_schema(specification)
errors = list(Draft7Validator(specification).iter_errors(document))
for error in errors[:5]:
    print(error.json_path, error.message[:300], file=sys.stderr)
if errors:
    sys.exit("the document is no AsyncAPI 3.0")

for message in given["messages"]:
    name = message["name"]
    reference = document["components"]["messages"][name]["payload"]["$ref"]
    # References of payloads lead into the document.
    schema = {"$ref": reference, "components": document["components"]}
    errors = list(Draft202012Validator(schema).iter_errors(message["payload"]))
    for error in errors[:5]:
        print(name, error.json_path, error.message[:300], file=sys.stderr)
    if errors:
        sys.exit(f"{name} is not what the document says: {json.dumps(message['payload'])[:500]}")
print(len(given["messages"]))
