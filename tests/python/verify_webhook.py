"""Verifies a delivery as a receiver would, with the official library of Standard Webhooks.

Reads {"secret", "public_key", "headers", "body"} from standard input. The library knows `v1`
signatures; `v1a` is verified here, as the specification says.
"""

import base64
import json
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook, WebhookVerificationError

given = json.load(sys.stdin)
headers, body = given["headers"], given["body"]
event = Webhook(given["secret"]).verify(body, headers)
assert event == json.loads(body)

try:
    Webhook(given["secret"]).verify(body + " ", headers)
except WebhookVerificationError:
    pass
else:
    sys.exit("a changed body was verified")

signatures = dict(part.split(",", 1) for part in headers["webhook-signature"].split(" "))
key = base64.b64decode(given["public_key"].removeprefix("whpk_"))
content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
public, signature = Ed25519PublicKey.from_public_bytes(key), base64.b64decode(signatures["v1a"])
public.verify(signature, content)
try:
    public.verify(signature, content + b" ")
except InvalidSignature:
    pass
else:
    sys.exit("a changed body was verified by its v1a signature")
print("verified")
