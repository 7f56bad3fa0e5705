import asyncio

from nio import AsyncClient, MatrixRoom, RoomMessageText


async def message_callback(room: MatrixRoom, event: RoomMessageText) -> None:
    print(
        f"Message received in room {room.display_name}\n"
        f"{room.user_name(event.sender)} | {event.body}", flush=True
    )


async def main() -> None:
    client = AsyncClient("http://127.0.0.1:18080", "@echo:localhost")
    client.add_event_callback(message_callback, RoomMessageText)
    print(await client.login("qpq_j5rfYN1pK7dc0jIFS0LpBsVACkQmPMOH9RV7PoLuJ1tr7073y"))
    await client.room_send(
        room_id="!d8f69c90e9e504d4d89f51a1c3cd18d7338f16c489f06f37e50a322b1e21d374:localhost",
        message_type="m.room.message",
        content={"msgtype": "m.text", "body": "Hello world!"},
    )
    await client.sync_forever(timeout=30000)  # milliseconds


asyncio.run(main())
