"""A conversation through the client that openapi-python-client generates."""

import os
import time
from http import HTTPStatus

from gateway_client import AuthenticatedClient
from gateway_client.api.events import list_events
from gateway_client.api.groups import create_group
from gateway_client.api.invitations import accept_invitation, list_invitations
from gateway_client.api.messages import send_message
from gateway_client.models import (
    EventList, Group, GroupRequest, InvitationList, MessageReceivedEvent, Problem, TextContent,
    TextMessage, TextMessageRequest, TextMessageRequestType,
)


def client(token):
    return AuthenticatedClient(
        base_url=os.environ["QPQ_URL"], token=os.environ[token], raise_on_unexpected_status=True
    )


def text(body):
    return TextMessageRequest(content=TextContent(body=body), type_=TextMessageRequestType.TEXT)


alice, bob = client("QPQ_ALICE"), client("QPQ_BOB")
group = create_group.sync(
    client=alice, body=GroupRequest(name="python", members=[os.environ["QPQ_BOB_IDENTITY"]])
)
assert isinstance(group, Group), group

deadline = time.monotonic() + 60
while True:
    invitations = list_invitations.sync(client=bob)
    assert isinstance(invitations, InvitationList), invitations
    if any(invitation.group_id == group.group_id for invitation in invitations.items):
        break
    assert time.monotonic() < deadline, "no invitation"
    time.sleep(0.05)
assert isinstance(accept_invitation.sync(group.group_id, client=bob), Group)

tail = list_events.sync(client=bob, timeout=0)
assert isinstance(tail, EventList)
sent = [
    send_message.sync(group.group_id, client=alice, body=text("hello"), idempotency_key="python-1")
    for _ in range(2)
]
assert all(isinstance(message, TextMessage) for message in sent), sent
assert sent[0].message_id == sent[1].message_id, "one key, one message"

cursor, heard = tail.next_, []
while not heard:
    assert time.monotonic() < deadline, "no message"
    page = list_events.sync(client=bob, after=cursor, timeout=10_000, types="message.received")
    assert isinstance(page, EventList), page
    cursor, heard = page.next_, page.items
(event,) = heard
assert isinstance(event, MessageReceivedEvent), event
assert isinstance(event.data, TextMessage), event.data
assert event.data.content.body == "hello", event.data
assert event.data.message_id == sent[0].message_id

refused = send_message.sync_detailed("0" * 64, client=alice, body=text("nobody"))
assert refused.status_code == HTTPStatus.NOT_FOUND, refused
assert isinstance(refused.parsed, Problem), refused
assert refused.parsed.type_.endswith("group-not-found") and not refused.parsed.retryable
print("conversation held")
