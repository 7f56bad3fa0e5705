"""A bot on matrix-nio, unmodified, and a bot of the native API talk in the same groups.

QPQ_URL is the gateway's, MATRIX_TOKEN and NATIVE_TOKEN are bot tokens. Whatever is not as it
should be ends the program with a sentence.
"""

import asyncio
import io
import os
import time

import aiohttp
import nio

URL = os.environ["QPQ_URL"]
PATIENCE = 60


def check(condition, what):
    if not condition:
        raise SystemExit(f"not so: {what}")


def good(response, what):
    """An answer of nio that is no error."""
    check(not isinstance(response, nio.ErrorResponse), f"{what}: {response}")
    return response


class Native:
    """A bot of the native API."""

    def __init__(self, http, token):
        self.http = http
        self.headers = {"Authorization": f"Bearer {token}"}
        self.cursor = None

    async def call(self, method, path, json=None, **more):
        async with self.http.request(
            method, URL + path, json=json, headers=self.headers, **more
        ) as response:
            text = await response.text()
            check(response.status < 300, f"{method} {path}: {response.status} {text}")
            return await response.json() if text else None

    async def start(self):
        me = await self.call("GET", "/v1/me")
        self.name = me["name"]
        self.cursor = (await self.call("GET", "/v1/events?timeout=0"))["next"]

    async def until(self, what, wanted):
        """The first event that is wanted, from where the last search ended."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            page = await self.call("GET", f"/v1/events?after={self.cursor}&timeout=5000&limit=1")
            self.cursor = page["next"]
            for event in page["items"]:
                if wanted(event):
                    return event
        raise SystemExit(f"the native bot waited in vain for {what}")

    async def message(self, kind):
        event = await self.until(
            kind, lambda e: e["type"] == "message.received" and e["data"]["type"] == kind
        )
        return event["data"]

    async def say(self, group, body, kind="text", **more):
        message = {"type": kind, "content": body, **more}
        return await self.call("POST", f"/v1/groups/{group}/messages", message)


class Bot:
    """A bot as the documentation of matrix-nio shows them: callbacks and a loop of syncs."""

    def __init__(self, client):
        self.client = client
        self.seen = []
        client.add_event_callback(self.on_event, nio.Event)
        client.add_event_callback(self.on_invite, nio.InviteMemberEvent)
        client.add_ephemeral_callback(self.on_event, (nio.TypingNoticeEvent, nio.ReceiptEvent))

    async def on_invite(self, room, event):
        if event.membership == "invite" and event.state_key == self.client.user_id:
            good(await self.client.join(room.room_id), "auto-join")

    async def on_event(self, room, event):
        self.seen.append((room.room_id, event))

    async def until(self, what, wanted):
        """The first event that is wanted; it and all before it are forgotten."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for index, (room, event) in enumerate(self.seen):
                if wanted(event):
                    del self.seen[: index + 1]
                    return room, event
            good(await self.client.sync(timeout=2000), "sync")
        kinds = [(type(event).__name__, vars(event).get("source")) for _, event in self.seen]
        raise SystemExit(f"the Matrix bot waited in vain for {what}; it has {kinds}")

    async def event(self, kind, **fields):
        def wanted(event):
            return isinstance(event, kind) and all(
                getattr(event, name) == value for name, value in fields.items()
            )

        return await self.until(f"{kind.__name__} {fields}", wanted)


def group_of(room_id):
    return room_id[1:].split(":")[0]


def text(body, **more):
    return {"msgtype": "m.text", "body": body, **more}


def answer(body, event_id):
    return text(body, **{"m.relates_to": {"m.in_reply_to": {"event_id": event_id}}})


async def log_in(token):
    """By password, by token, with a token that is there; and out again."""
    client = nio.AsyncClient(URL, "@echo:localhost")
    wrong = await client.login("qpq_wrong")
    check(isinstance(wrong, nio.LoginError) and wrong.status_code == "M_FORBIDDEN", f"{wrong}")
    good(await client.login(token, device_name="a test"), "login by password")
    check(client.user_id == "@echo:localhost", client.user_id)
    who = good(await client.whoami(), "whoami")
    check((who.user_id, who.device_id) == (client.user_id, client.device_id), f"{who}")
    good(await client.logout(), "logout")
    client.access_token = client.access_token or "qpq_gone"
    await client.close()
    client = nio.AsyncClient(URL, "@echo:localhost")
    good(await client.login(token=token), "login by token")
    await client.close()
    again = nio.AsyncClient(URL, "@echo:localhost")
    again.restore_login("@echo:localhost", client.device_id, client.access_token)
    good(await again.whoami(), "whoami with a token that was kept")
    return again


async def conversation(bot, native):
    client = bot.client
    group = await native.call("POST", "/v1/groups", {"name": "talk", "members": ["echo"]})
    group = group["group_id"]
    room = f"!{group}:localhost"
    _, joined = await bot.event(nio.RoomMemberEvent, state_key=client.user_id, membership="join")
    check(joined.sender == client.user_id, f"{joined}")
    check(client.rooms[room].name == "talk", client.rooms[room].name)
    check(client.rooms[room].encrypted is False, "Matrix's encryption is not claimed")
    check(good(await client.joined_rooms(), "joined rooms").rooms == [room], "joined rooms")
    good(await client.join(room), "joining twice")

    said = await native.say(group, {"body": "hello"})
    _, heard = await bot.event(nio.RoomMessageText, body="hello")
    check(heard.sender == f"@{native.name}:localhost", heard.sender)

    content = answer("> <@x:y> hello\n\nhello yourself", heard.event_id)
    replied = good(await client.room_send(room, "m.room.message", content, tx_id="one"), "reply")
    repeated = good(await client.room_send(room, "m.room.message", content, tx_id="one"), "again")
    check(replied.event_id == repeated.event_id, "a transaction is done once")
    got = await native.message("text")
    check(got["content"] == {"body": "hello yourself"}, f"{got['content']}")
    check(got["relates_to"] == {"rel": "reply", "message_id": said["message_id"]}, f"{got}")
    check(got["sender"]["name"] == "echo", f"{got['sender']}")
    _, own = await bot.event(nio.RoomMessageText, body="hello yourself")
    check(own.event_id == replied.event_id, "the echo has the id that was answered")

    html = text("*loud*", format="org.matrix.custom.html", formatted_body="<b>loud</b>")
    html["msgtype"] = "m.notice"
    good(await client.room_send(room, "m.room.message", html), "a notice")
    # The transaction that was repeated came once: the next one is the notice.
    got = await native.message("text")
    check(got["content"]["body"] == "*loud*", f"{got['content']}")
    check(got["content"]["formatted_body"] == "<b>loud</b>", f"{got['content']}")
    await native.say(group, {"body": "loud"}, reply_to=got["message_id"])
    _, heard = await bot.event(nio.RoomMessageText, body="loud")
    reply_to = heard.source["content"]["m.relates_to"]["m.in_reply_to"]["event_id"]
    quoted = good(await client.room_get_event(room, reply_to), "an event").event
    check(quoted.body == "*loud*", f"{quoted}")
    return room, group


async def changes(bot, native, room, group):
    client = bot.client
    said = await native.say(group, {"body": "a mistake"})
    path = f"/v1/groups/{group}/messages/{said['message_id']}"
    _, heard = await bot.event(nio.RoomMessageText, body="a mistake")
    relation = {"rel_type": "m.annotation", "event_id": heard.event_id, "key": "👍"}
    reaction = good(
        await client.room_send(room, "m.reaction", {"m.relates_to": relation}), "react"
    )
    got = await native.message("reaction")
    check(got["content"]["key"] == "👍", f"{got}")
    check(got["relates_to"]["message_id"] == said["message_id"], f"{got}")
    good(await client.room_redact(room, reaction.event_id), "take the reaction back")
    got = await native.message("reaction")
    check(got["content"] == {"key": "👍", "active": False}, f"{got}")

    await native.call("PUT", f"{path}/reactions/🎉", {})
    _, event = await bot.until(
        "a reaction", lambda e: e.source["type"] == "m.reaction" and e.sender != client.user_id
    )
    relation = event.source["content"]["m.relates_to"]
    check(relation == {"rel_type": "m.annotation", "event_id": heard.event_id, "key": "🎉"}, relation)
    await native.call("DELETE", f"{path}/reactions/🎉")
    _, taken = await bot.event(nio.RedactionEvent)
    check(taken.redacts == event.event_id, f"{taken}")

    await native.call("PATCH", path, {"content": {"body": "no mistake"}})
    _, edit = await bot.event(nio.RoomMessageText, body="* no mistake")
    relation = edit.source["content"]["m.relates_to"]
    check(relation == {"rel_type": "m.replace", "event_id": heard.event_id}, relation)
    check(edit.source["content"]["m.new_content"]["body"] == "no mistake", f"{edit}")
    await native.call("DELETE", path)
    _, gone = await bot.event(nio.RedactionEvent)
    check(gone.redacts == heard.event_id, f"{gone}")

    first = good(await client.room_send(room, "m.room.message", text("tpyo")), "a text")
    got = await native.message("text")
    replace = {"rel_type": "m.replace", "event_id": first.event_id}
    new = text("* typo", **{"m.new_content": text("typo"), "m.relates_to": replace})
    good(await client.room_send(room, "m.room.message", new), "an edit")
    edited = await native.message("edit")
    check(edited["content"] == {"body": "typo"}, f"{edited}")
    check(edited["relates_to"]["message_id"] == got["message_id"], f"{edited}")
    event = good(await client.room_get_event(room, first.event_id), "an event").event
    check(event.body == "typo", f"{event}")
    good(await client.room_redact(room, first.event_id, reason="rude", tx_id="r"), "redact")
    good(await client.room_redact(room, first.event_id, reason="rude", tx_id="r"), "again")
    deleted = await native.message("delete")
    check(deleted["relates_to"]["message_id"] == got["message_id"], f"{deleted}")
    others = await client.room_redact(room, heard.event_id)
    check(isinstance(others, nio.RoomRedactError), "what others have said is theirs")

    move = {"from": "e2", "to": "e4"}
    good(await client.room_send(room, "com.example.move", move), "a type of its own")
    check((await native.message("com.example.move"))["content"] == move, "as it was sent")
    await native.say(group, {"from": "e7"}, kind="com.example.move")
    _, event = await bot.until(
        "a move", lambda e: e.source["type"] == "com.example.move" and e.sender != client.user_id
    )
    check(event.source["content"] == {"from": "e7"}, f"{event.source}")


async def marks(bot, native, room, group):
    client = bot.client
    said = await native.say(group, {"body": "read this"})
    _, heard = await bot.event(nio.RoomMessageText, body="read this")
    good(await client.room_read_markers(room, heard.event_id, heard.event_id), "read markers")
    got = await native.message("read")
    check(got["relates_to"]["message_id"] == said["message_id"], f"{got}")
    good(await client.room_typing(room, True), "typing")
    event = await native.until("typing", lambda e: e["type"] == "member.typing")
    check(event["data"]["active"] is True, f"{event}")
    await native.call("PUT", f"/v1/groups/{group}/typing", {"active": True})
    _, typing = await bot.event(nio.TypingNoticeEvent)
    check(typing.users == [f"@{native.name}:localhost"], f"{typing}")
    mine = good(await client.room_send(room, "m.room.message", text("seen?")), "a text")
    got = await native.message("text")
    await native.call("PUT", f"/v1/groups/{group}/read", {"message_id": got["message_id"]})
    # Its own come as well.
    _, event = await bot.until(
        "a receipt",
        lambda e: isinstance(e, nio.ReceiptEvent) and e.receipts[0].user_id != client.user_id,
    )
    receipt = event.receipts[0]
    check(receipt.event_id == mine.event_id, f"{receipt}")
    check(receipt.user_id == f"@{native.name}:localhost", f"{receipt}")


async def files(bot, native, room, group):
    client = bot.client
    data = os.urandom(300_000)
    uploaded, _ = await client.upload(
        io.BytesIO(data), content_type="image/png", filename="cat.png", filesize=len(data)
    )
    good(uploaded, "upload")
    image = {
        "msgtype": "m.image",
        "body": "cat.png",
        "url": uploaded.content_uri,
        "info": {"w": 3, "h": 4},
    }
    good(await client.room_send(room, "m.room.message", image), "an image")
    got = await native.message("file")
    check(got["content"]["name"] == "cat.png", f"{got}")
    path = f"{URL}/v1/attachments/{got['content']['attachment_id']}"
    async with native.http.get(path, headers=native.headers) as response:
        check(await response.read() == data, "the image arrives whole")
        check(response.headers["Content-Type"] == "image/png", "with its type")

    other = os.urandom(100_000)
    upload = {"Content-Type": "application/pdf", **native.headers}
    async with native.http.post(
        f"{URL}/v1/attachments?filename=report.pdf", data=other, headers=upload
    ) as response:
        attachment = await response.json()
    await native.say(group, {"attachment_id": attachment["attachment_id"]}, kind="file")
    _, event = await bot.event(nio.RoomMessageFile, body="report.pdf")
    check(event.source["content"]["info"]["size"] == len(other), f"{event.source}")
    downloaded = good(await client.download(event.url), "download")
    check(downloaded.body == other, "the report arrives whole")
    check(downloaded.content_type == "application/pdf", downloaded.content_type)


async def rooms(bot, native):
    client = bot.client
    initial = [{"type": "m.room.encryption", "state_key": "", "content": {"algorithm": "m.x"}}]
    made = good(
        await client.room_create(
            name="made", topic="by a bot", invite=[f"@{native.name}:localhost"],
            initial_state=initial,
        ),
        "create",
    )
    room, group = made.room_id, group_of(made.room_id)
    good(await client.sync(timeout=2000), "sync")
    check(client.rooms[room].name == "made", "the room is in the next sync")
    check(client.rooms[room].topic == "by a bot", client.rooms[room].topic)
    check(client.rooms[room].power_levels.get_user_level(client.user_id) == 100, "an admin")
    invitation = await native.until(
        "an invitation",
        lambda e: e["type"] == "invitation.received" and e["data"]["group_id"] == group,
    )
    await native.call(
        "POST", f"/v1/invitations/{invitation['data']['invitation_id']}/accept", {}
    )
    members = good(await client.joined_members(room), "members").members
    names = sorted(member.user_id for member in members)
    check(names == sorted([client.user_id, f"@{native.name}:localhost"]), names)
    good(await client.room_put_state(room, "m.room.name", {"name": "renamed"}), "rename")
    await native.until("a name", lambda e: e["type"] == "group.renamed")
    _, event = await bot.event(nio.RoomNameEvent, name="renamed")
    refused = await client.room_put_state(room, "m.room.encryption", {"algorithm": "m.x"})
    check(isinstance(refused, nio.RoomPutStateError), "Matrix's encryption cannot be turned on")
    state = good(await client.room_get_state_event(room, "m.room.name"), "state")
    check(state.content == {"name": "renamed"}, f"{state}")
    good(await client.room_kick(room, f"@{native.name}:localhost"), "kick")
    await native.until("the kick", lambda e: e["type"] == "group.left" and e["group_id"] == group)
    _, event = await bot.event(nio.RoomMemberEvent, membership="leave")
    check(event.state_key == f"@{native.name}:localhost", f"{event}")
    good(await client.room_invite(room, f"@{native.name}:localhost"), "invite")
    await native.until(
        "an invitation",
        lambda e: e["type"] == "invitation.received" and e["data"]["group_id"] == group,
    )
    await native.call("POST", f"/v1/invitations/{group}/accept", {})
    good(
        await client.room_put_state(
            room,
            "m.room.power_levels",
            {"users": {client.user_id: 100, f"@{native.name}:localhost": 100}},
        ),
        "another admin",
    )
    good(await client.room_leave(room), "leave")
    end = time.monotonic() + PATIENCE
    left = {}
    while room not in left and time.monotonic() < end:
        left = good(await client.sync(timeout=2000), "sync").rooms.leave
    check(room in left, "the room is left")
    event = left[room].timeline.events[-1]
    check((event.state_key, event.membership) == (client.user_id, "leave"), f"{event}")
    good(await client.room_leave(room), "leaving twice")
    good(await client.room_forget(room), "forget")
    check(room not in good(await client.joined_rooms(), "joined rooms").rooms, "not joined")


async def history(bot, native, room, group):
    client = bot.client
    for n in range(25):
        await native.say(group, {"body": f"line {n}"})
    await bot.event(nio.RoomMessageText, body="line 24")
    found, start = [], client.next_batch
    while start and len(found) < 25:
        page = good(await client.room_messages(room, start, limit=7), "history")
        found += [event.body for event in page.chunk if isinstance(event, nio.RoomMessageText)]
        start = page.end
    check(found[:25] == [f"line {n}" for n in reversed(range(25))], found)
    lines = []
    while start and len(lines) < 25:
        page = good(
            await client.room_messages(
                room, start, limit=5, direction=nio.MessageDirection.front
            ),
            "history forward",
        )
        lines += [e for e in page.chunk if getattr(e, "body", "").startswith("line")]
        start = page.end
    check([e.body for e in lines] == [f"line {n}" for n in range(25)], lines)
    middle = lines[10]
    context = good(await client.room_context(room, middle.event_id, limit=6), "context")
    after = [event.body for event in context.events_after]
    check(after == ["line 11", "line 12", "line 13"], after)
    before = [event.body for event in context.events_before]
    check(before == ["line 9", "line 8", "line 7"], before)


async def restart(bot, native, room, group):
    """A bot that comes back with the token it has kept hears each message once."""
    client = bot.client
    good(await client.sync(timeout=0), "sync")
    kept, token, device = client.next_batch, client.access_token, client.device_id
    await client.close()
    for n in range(3):
        await native.say(group, {"body": f"while away {n}"})
    again = nio.AsyncClient(URL, "@echo:localhost")
    again.restore_login("@echo:localhost", device, token)
    again.next_batch = kept
    bot = Bot(again)
    await bot.until("the last", lambda e: getattr(e, "body", "") == "while away 2")
    await again.close()
    for since, lines in ((kept, 3), (again.next_batch, 0)):
        once = nio.AsyncClient(URL, "@echo:localhost")
        once.restore_login("@echo:localhost", device, token)
        bot = Bot(once)
        good(await once.sync(timeout=1000, since=since), "sync")
        heard = [e.body for _, e in bot.seen if isinstance(e, nio.RoomMessageText)]
        check(heard == [f"while away {n}" for n in range(lines)], heard)
        await once.close()
    # Without one it starts with nothing old.
    fresh = nio.AsyncClient(URL, "@echo:localhost")
    fresh.restore_login("@echo:localhost", device, token)
    bot = Bot(fresh)
    good(await fresh.sync(timeout=0), "first sync")
    heard = [e for _, e in bot.seen if isinstance(e, nio.RoomMessageText)]
    check(not heard and room in fresh.rooms, f"{heard}")
    return Bot(fresh)


async def main():
    async with aiohttp.ClientSession() as http:
        native = Native(http, os.environ["NATIVE_TOKEN"])
        await native.start()
        bot = Bot(await log_in(os.environ["MATRIX_TOKEN"]))
        room, group = await conversation(bot, native)
        await changes(bot, native, room, group)
        await marks(bot, native, room, group)
        await files(bot, native, room, group)
        await rooms(bot, native)
        await history(bot, native, room, group)
        bot = await restart(bot, native, room, group)
        await bot.client.close()
    print("all of it")


asyncio.run(main())
