from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.known_identity import KnownIdentity
from ...models.problem import Problem
from ...models.verification import Verification
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    identity: str,
    *,
    body: Verification,
    idempotency_key: str | Unset = UNSET,

) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key



    

    

    _kwargs: dict[str, Any] = {
        "method": "put",
        "url": "/v1/identities/{identity}/verification".format(identity=quote(str(identity), safe=""),),
    }

    _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> KnownIdentity | Problem | None:
    if response.status_code == 200:
        response_200 = KnownIdentity.from_dict(response.json())



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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[KnownIdentity | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    identity: str,
    *,
    client: AuthenticatedClient,
    body: Verification,
    idempotency_key: str | Unset = UNSET,

) -> Response[KnownIdentity | Problem]:
    """ Verify an identity, or take that back.

     A person has compared the safety number by another way, or a program that another way vouches
    for. From then on its messages and its place in groups say `verified`, until one of its names
    turns out to have been another's.

    The token needs the scope `identity:manage`.

    Args:
        identity (str):
        idempotency_key (str | Unset):
        body (Verification): Whether an identity is verified.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[KnownIdentity | Problem]
     """


    kwargs = _get_kwargs(
        identity=identity,
body=body,
idempotency_key=idempotency_key,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    identity: str,
    *,
    client: AuthenticatedClient,
    body: Verification,
    idempotency_key: str | Unset = UNSET,

) -> KnownIdentity | Problem | None:
    """ Verify an identity, or take that back.

     A person has compared the safety number by another way, or a program that another way vouches
    for. From then on its messages and its place in groups say `verified`, until one of its names
    turns out to have been another's.

    The token needs the scope `identity:manage`.

    Args:
        identity (str):
        idempotency_key (str | Unset):
        body (Verification): Whether an identity is verified.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        KnownIdentity | Problem
     """


    return sync_detailed(
        identity=identity,
client=client,
body=body,
idempotency_key=idempotency_key,

    ).parsed

async def asyncio_detailed(
    identity: str,
    *,
    client: AuthenticatedClient,
    body: Verification,
    idempotency_key: str | Unset = UNSET,

) -> Response[KnownIdentity | Problem]:
    """ Verify an identity, or take that back.

     A person has compared the safety number by another way, or a program that another way vouches
    for. From then on its messages and its place in groups say `verified`, until one of its names
    turns out to have been another's.

    The token needs the scope `identity:manage`.

    Args:
        identity (str):
        idempotency_key (str | Unset):
        body (Verification): Whether an identity is verified.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[KnownIdentity | Problem]
     """


    kwargs = _get_kwargs(
        identity=identity,
body=body,
idempotency_key=idempotency_key,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    identity: str,
    *,
    client: AuthenticatedClient,
    body: Verification,
    idempotency_key: str | Unset = UNSET,

) -> KnownIdentity | Problem | None:
    """ Verify an identity, or take that back.

     A person has compared the safety number by another way, or a program that another way vouches
    for. From then on its messages and its place in groups say `verified`, until one of its names
    turns out to have been another's.

    The token needs the scope `identity:manage`.

    Args:
        identity (str):
        idempotency_key (str | Unset):
        body (Verification): Whether an identity is verified.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        KnownIdentity | Problem
     """


    return (await asyncio_detailed(
        identity=identity,
client=client,
body=body,
idempotency_key=idempotency_key,

    )).parsed
