from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    *,
    after: str | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    ticket: str | Unset = UNSET,

) -> dict[str, Any]:
    

    

    params: dict[str, Any] = {}

    params["after"] = after

    params["types"] = types

    params["groups"] = groups

    params["consumer"] = consumer

    params["lease"] = lease

    params["prefetch"] = prefetch

    params["ticket"] = ticket


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/events/ws",
        "params": params,
    }


    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Any | Problem | None:
    if response.status_code == 101:
        response_101 = cast(Any, None)
        return response_101

    if response.status_code == 400:
        response_400 = Problem.from_dict(response.json())



        return response_400

    if response.status_code == 401:
        response_401 = Problem.from_dict(response.json())



        return response_401

    if response.status_code == 403:
        response_403 = Problem.from_dict(response.json())



        return response_403

    if response.status_code == 404:
        response_404 = Problem.from_dict(response.json())



        return response_404

    if response.status_code == 410:
        response_410 = Problem.from_dict(response.json())



        return response_410

    if response.status_code == 426:
        response_426 = Problem.from_dict(response.json())



        return response_426

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())



        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())



        return response_500

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())



        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Any | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    ticket: str | Unset = UNSET,

) -> Response[Any | Problem]:
    """ Stream events over a WebSocket.

     Frames are JSON texts; `/asyncapi.json` describes them. First comes
    `hello {session, heartbeat_ms, cursor}`, then `event {delivery_id, event}`. The bot may send
    `ack {ids}` or `ack {up_to}` and `extend {ids, lease_ms}` (named consumers),
    `send {id, group_id, message, idempotency_key}` answered by `result {id, status, ...}`, and
    `ping` answered by `pong`. A browser gives a `ticket`, or offers the subprotocols `qpq.v1` and
    `qpq.token.<token>`, or offers `qpq.v1` and sends `auth {token}` first. Close codes: 1012
    restart, 4008 too slow, 4401 token, 4403 scope, 4408 no token in time, 4409 displaced, 4410
    cursor expired, 4413 too large.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        ticket (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Problem]
     """


    kwargs = _get_kwargs(
        after=after,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
ticket=ticket,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    ticket: str | Unset = UNSET,

) -> Any | Problem | None:
    """ Stream events over a WebSocket.

     Frames are JSON texts; `/asyncapi.json` describes them. First comes
    `hello {session, heartbeat_ms, cursor}`, then `event {delivery_id, event}`. The bot may send
    `ack {ids}` or `ack {up_to}` and `extend {ids, lease_ms}` (named consumers),
    `send {id, group_id, message, idempotency_key}` answered by `result {id, status, ...}`, and
    `ping` answered by `pong`. A browser gives a `ticket`, or offers the subprotocols `qpq.v1` and
    `qpq.token.<token>`, or offers `qpq.v1` and sends `auth {token}` first. Close codes: 1012
    restart, 4008 too slow, 4401 token, 4403 scope, 4408 no token in time, 4409 displaced, 4410
    cursor expired, 4413 too large.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        ticket (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Problem
     """


    return sync_detailed(
        client=client,
after=after,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
ticket=ticket,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    ticket: str | Unset = UNSET,

) -> Response[Any | Problem]:
    """ Stream events over a WebSocket.

     Frames are JSON texts; `/asyncapi.json` describes them. First comes
    `hello {session, heartbeat_ms, cursor}`, then `event {delivery_id, event}`. The bot may send
    `ack {ids}` or `ack {up_to}` and `extend {ids, lease_ms}` (named consumers),
    `send {id, group_id, message, idempotency_key}` answered by `result {id, status, ...}`, and
    `ping` answered by `pong`. A browser gives a `ticket`, or offers the subprotocols `qpq.v1` and
    `qpq.token.<token>`, or offers `qpq.v1` and sends `auth {token}` first. Close codes: 1012
    restart, 4008 too slow, 4401 token, 4403 scope, 4408 no token in time, 4409 displaced, 4410
    cursor expired, 4413 too large.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        ticket (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Any | Problem]
     """


    kwargs = _get_kwargs(
        after=after,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
ticket=ticket,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    ticket: str | Unset = UNSET,

) -> Any | Problem | None:
    """ Stream events over a WebSocket.

     Frames are JSON texts; `/asyncapi.json` describes them. First comes
    `hello {session, heartbeat_ms, cursor}`, then `event {delivery_id, event}`. The bot may send
    `ack {ids}` or `ack {up_to}` and `extend {ids, lease_ms}` (named consumers),
    `send {id, group_id, message, idempotency_key}` answered by `result {id, status, ...}`, and
    `ping` answered by `pong`. A browser gives a `ticket`, or offers the subprotocols `qpq.v1` and
    `qpq.token.<token>`, or offers `qpq.v1` and sends `auth {token}` first. Close codes: 1012
    restart, 4008 too slow, 4401 token, 4403 scope, 4408 no token in time, 4409 displaced, 4410
    cursor expired, 4413 too large.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        ticket (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Any | Problem
     """


    return (await asyncio_detailed(
        client=client,
after=after,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
ticket=ticket,

    )).parsed
