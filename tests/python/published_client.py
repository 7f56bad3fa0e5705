"""Speaks with a node through aioquic and pycapnp, knowing only the published interface.

usage: published_client.py SCHEMA HOST:PORT FINGERPRINT IDENTITY   (QPQ_TOKEN: the access token)

pycapnp wants a socket, so the QUIC stream is tied to one end of a socket pair.
"""

import asyncio
import hashlib
import os
import socket
import ssl
import sys

import capnp
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from cryptography.hazmat.primitives.serialization import Encoding

CHUNK = 64 * 1024


async def pump(read, write, close):
    """Carries bytes one way until they end."""
    while data := await read():
        await write(data)
    close()


def tie(reader, writer, end):
    """Ties a QUIC stream to one end of a socket pair."""
    loop = asyncio.get_running_loop()

    async def to_node(data):
        writer.write(data)
        await writer.drain()

    return [
        asyncio.create_task(
            pump(lambda: loop.sock_recv(end, CHUNK), to_node, writer.write_eof)
        ),
        asyncio.create_task(
            pump(
                lambda: reader.read(CHUNK),
                lambda data: loop.sock_sendall(end, data),
                end.close,
            )
        ),
    ]


async def refused(promise, code):
    """Waits for a refusal with a code."""
    try:
        await promise
    except capnp.KjException as error:
        assert code in str(error), f"{code} expected: {error}"
        return
    raise AssertionError(f"{code} expected, and it was done")


async def speak(service, identity, token):
    auth = {"version": 1, "accessToken": token}
    mine = {"recipientKey": identity, "version": 1, "auth": auth}

    assert (await service.health()).status == "ok"
    print("health: ok")

    for n, payload in enumerate((b"first", b"second"), start=1):
        answer = await service.enqueue(payload=payload, ttlSecs=600, **mine)
        assert answer.seq == n, answer.seq
    print("enqueue: ok")

    rows = (await service.fetch(limit=1, **mine)).payloads
    assert [(row.seq, row.data) for row in rows] == [(1, b"first")]
    rows = (await service.fetch(**mine)).payloads
    assert [(row.seq, row.data) for row in rows] == [(2, b"second")]
    assert len((await service.fetch(**mine)).payloads) == 0
    print("fetch: ok")

    waiting = asyncio.ensure_future(wait_for_row(service, mine))
    await service.health()
    await service.enqueue(payload=b"x" * 200_000, **mine)
    assert await waiting == [(3, b"x" * 200_000)]
    print("fetchWait: ok")

    hybrid = bytes(range(256)) * 4 + bytes(192)
    await service.uploadHybridKey(identityKey=identity, hybridPublicKey=hybrid, auth=auth)
    answer = await service.fetchHybridKey(identityKey=identity, auth=auth)
    assert answer.hybridPublicKey == hybrid
    assert (await service.fetchKeyPackage(identityKey=identity, auth=auth)).package == b""
    print("keys: ok")

    await refused(service.fetch(recipientKey=identity, version=1), "E001 UNAUTHENTICATED")
    other = {**mine, "recipientKey": bytes(32)}
    await refused(service.fetch(**other), "E002 FORBIDDEN")
    await refused(service.enqueue(payload=b"x", **{**mine, "recipientKey": b"short"}), "E003 BAD_ID")
    await refused(service.enqueue(payload=b"x", **{**mine, "version": 2}), "E004 BAD_VERSION")
    await refused(service.enqueue(**mine), "E005 EMPTY")
    await refused(
        service.uploadKeyPackage(identityKey=identity, package=b"none", auth=auth),
        "E014 BAD_KEY_PACKAGE",
    )
    await refused(
        service.uploadHybridKey(identityKey=identity, hybridPublicKey=b"x", auth=auth),
        "E020 BAD_HYBRID_KEY",
    )
    print("errors: ok")


async def wait_for_row(service, mine):
    rows = (await service.fetchWait(timeoutMs=30_000, **mine)).payloads
    return [(row.seq, row.data) for row in rows]


def check_pin(protocol, fingerprint):
    """The certificate is the pinned one, or nothing is said."""
    certificate = protocol._quic.tls._peer_certificate
    found = hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()
    if found != fingerprint:
        raise SystemExit(f"the node's certificate is {found}")


async def main():
    schema, address, fingerprint, identity = sys.argv[1:]
    host, port = address.rsplit(":", 1)
    interface = capnp.load(schema)
    # Judged by its fingerprint alone, before the first byte is said.
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["capnp"], verify_mode=ssl.CERT_NONE
    )
    async with connect(
        host, int(port), configuration=configuration, create_protocol=QuicConnectionProtocol
    ) as protocol:
        check_pin(protocol, fingerprint)
        reader, writer = await protocol.create_stream()
        here, there = socket.socketpair()
        there.setblocking(False)
        tasks = tie(reader, writer, there)
        here.setblocking(False)
        stream = await capnp.AsyncIoStream.create_connection(sock=here)
        service = capnp.TwoPartyClient(stream).bootstrap().cast_as(interface.NodeService)
        await speak(service, bytes.fromhex(identity), bytes.fromhex(os.environ["QPQ_TOKEN"]))
        for task in tasks:
            task.cancel()


asyncio.run(capnp.run(main()))
