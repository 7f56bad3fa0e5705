from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.change import Change
from ...models.group import Group
from ...models.group_request import GroupRequest
from ...models.problem import Problem
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    *,
    body: GroupRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,

) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key



    

    params: dict[str, Any] = {}

    params["wait"] = wait


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "post",
        "url": "/v1/groups",
        "params": params,
    }

    
    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Change | Group | Problem | None:
    if response.status_code == 201:
        response_201 = Group.from_dict(response.json())



        return response_201

    if response.status_code == 202:
        response_202 = Change.from_dict(response.json())



        return response_202

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

    if response.status_code == 408:
        response_408 = Problem.from_dict(response.json())



        return response_408

    if response.status_code == 409:
        response_409 = Problem.from_dict(response.json())



        return response_409

    if response.status_code == 413:
        response_413 = Problem.from_dict(response.json())



        return response_413

    if response.status_code == 415:
        response_415 = Problem.from_dict(response.json())



        return response_415

    if response.status_code == 422:
        response_422 = Problem.from_dict(response.json())



        return response_422

    if response.status_code == 429:
        response_429 = Problem.from_dict(response.json())



        return response_429

    if response.status_code == 500:
        response_500 = Problem.from_dict(response.json())



        return response_500

    if response.status_code == 502:
        response_502 = Problem.from_dict(response.json())



        return response_502

    if response.status_code == 503:
        response_503 = Problem.from_dict(response.json())



        return response_503

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[Change | Group | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    *,
    client: AuthenticatedClient,
    body: GroupRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,

) -> Response[Change | Group | Problem]:
    """ Create a group and invite its first members.

     The token needs the scope `groups:manage`.

    Args:
        wait (int | Unset):
        idempotency_key (str | Unset):
        body (GroupRequest | Unset): A group to create.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Change | Group | Problem]
     """


    kwargs = _get_kwargs(
        body=body,
wait=wait,
idempotency_key=idempotency_key,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    *,
    client: AuthenticatedClient,
    body: GroupRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,

) -> Change | Group | Problem | None:
    """ Create a group and invite its first members.

     The token needs the scope `groups:manage`.

    Args:
        wait (int | Unset):
        idempotency_key (str | Unset):
        body (GroupRequest | Unset): A group to create.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Change | Group | Problem
     """


    return sync_detailed(
        client=client,
body=body,
wait=wait,
idempotency_key=idempotency_key,

    ).parsed

async def asyncio_detailed(
    *,
    client: AuthenticatedClient,
    body: GroupRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,

) -> Response[Change | Group | Problem]:
    """ Create a group and invite its first members.

     The token needs the scope `groups:manage`.

    Args:
        wait (int | Unset):
        idempotency_key (str | Unset):
        body (GroupRequest | Unset): A group to create.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Change | Group | Problem]
     """


    kwargs = _get_kwargs(
        body=body,
wait=wait,
idempotency_key=idempotency_key,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    *,
    client: AuthenticatedClient,
    body: GroupRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,

) -> Change | Group | Problem | None:
    """ Create a group and invite its first members.

     The token needs the scope `groups:manage`.

    Args:
        wait (int | Unset):
        idempotency_key (str | Unset):
        body (GroupRequest | Unset): A group to create.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Change | Group | Problem
     """


    return (await asyncio_detailed(
        client=client,
body=body,
wait=wait,
idempotency_key=idempotency_key,

    )).parsed
