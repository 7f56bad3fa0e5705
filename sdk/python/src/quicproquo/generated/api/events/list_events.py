from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.event_list import EventList
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    *,
    after: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    limit: int | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    last_event_id: str | Unset = UNSET,

) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(last_event_id, Unset):
        headers["Last-Event-ID"] = last_event_id



    

    params: dict[str, Any] = {}

    params["after"] = after

    params["timeout"] = timeout

    params["limit"] = limit

    params["types"] = types

    params["groups"] = groups

    params["consumer"] = consumer

    params["lease"] = lease

    params["prefetch"] = prefetch


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/v1/events",
        "params": params,
    }


    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> EventList | Problem | None:
    if response.status_code == 200:
        response_200 = EventList.from_dict(response.json())



        return response_200

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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[EventList | Problem]:
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
    timeout: int | Unset = UNSET,
    limit: int | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    last_event_id: str | Unset = UNSET,

) -> Response[EventList | Problem]:
    """ Get events, waiting for them if there are none, or stream them.

     Without `after` the log's tail is where it starts: with `timeout=0` that answers no items and
    the tail's cursor in `next`. Go on with `after=` the `next` of the answer before.

    With `Accept: text/event-stream` the answer is a stream of server-sent events that does not end:
    each has the event as `data` and its cursor as `id`, and a reader that comes back with
    `Last-Event-ID` misses nothing.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        timeout (int | Unset):
        limit (int | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[EventList | Problem]
     """


    kwargs = _get_kwargs(
        after=after,
timeout=timeout,
limit=limit,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
last_event_id=last_event_id,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    limit: int | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    last_event_id: str | Unset = UNSET,

) -> EventList | Problem | None:
    """ Get events, waiting for them if there are none, or stream them.

     Without `after` the log's tail is where it starts: with `timeout=0` that answers no items and
    the tail's cursor in `next`. Go on with `after=` the `next` of the answer before.

    With `Accept: text/event-stream` the answer is a stream of server-sent events that does not end:
    each has the event as `data` and its cursor as `id`, and a reader that comes back with
    `Last-Event-ID` misses nothing.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        timeout (int | Unset):
        limit (int | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        EventList | Problem
     """


    return sync_detailed(
        client=client,
after=after,
timeout=timeout,
limit=limit,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
last_event_id=last_event_id,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    limit: int | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    last_event_id: str | Unset = UNSET,

) -> Response[EventList | Problem]:
    """ Get events, waiting for them if there are none, or stream them.

     Without `after` the log's tail is where it starts: with `timeout=0` that answers no items and
    the tail's cursor in `next`. Go on with `after=` the `next` of the answer before.

    With `Accept: text/event-stream` the answer is a stream of server-sent events that does not end:
    each has the event as `data` and its cursor as `id`, and a reader that comes back with
    `Last-Event-ID` misses nothing.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        timeout (int | Unset):
        limit (int | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[EventList | Problem]
     """


    kwargs = _get_kwargs(
        after=after,
timeout=timeout,
limit=limit,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
last_event_id=last_event_id,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient,
    after: str | Unset = UNSET,
    timeout: int | Unset = UNSET,
    limit: int | Unset = UNSET,
    types: str | Unset = UNSET,
    groups: str | Unset = UNSET,
    consumer: str | Unset = UNSET,
    lease: int | Unset = UNSET,
    prefetch: int | Unset = UNSET,
    last_event_id: str | Unset = UNSET,

) -> EventList | Problem | None:
    """ Get events, waiting for them if there are none, or stream them.

     Without `after` the log's tail is where it starts: with `timeout=0` that answers no items and
    the tail's cursor in `next`. Go on with `after=` the `next` of the answer before.

    With `Accept: text/event-stream` the answer is a stream of server-sent events that does not end:
    each has the event as `data` and its cursor as `id`, and a reader that comes back with
    `Last-Event-ID` misses nothing.

    The token needs the scope `messages:read`.

    Args:
        after (str | Unset):
        timeout (int | Unset):
        limit (int | Unset):
        types (str | Unset):
        groups (str | Unset):
        consumer (str | Unset):
        lease (int | Unset):
        prefetch (int | Unset):
        last_event_id (str | Unset):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        EventList | Problem
     """


    return (await asyncio_detailed(
        client=client,
after=after,
timeout=timeout,
limit=limit,
types=types,
groups=groups,
consumer=consumer,
lease=lease,
prefetch=prefetch,
last_event_id=last_event_id,

    )).parsed
