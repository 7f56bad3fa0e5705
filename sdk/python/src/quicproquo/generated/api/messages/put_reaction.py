from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote

import httpx

from ...client import AuthenticatedClient, Client
from ...types import Response, UNSET
from ... import errors

from ...models.delete_message import DeleteMessage
from ...models.deleted_message import DeletedMessage
from ...models.edit_message import EditMessage
from ...models.file_message import FileMessage
from ...models.own_message import OwnMessage
from ...models.problem import Problem
from ...models.reaction_message import ReactionMessage
from ...models.reaction_request import ReactionRequest
from ...models.read_message import ReadMessage
from ...models.text_message import TextMessage
from ...models.typing_message import TypingMessage
from ...types import UNSET, Unset
from typing import cast



def _get_kwargs(
    group_id: str,
    message_id: str,
    key: str,
    *,
    body: ReactionRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,

) -> dict[str, Any]:
    headers: dict[str, Any] = {}
    if not isinstance(idempotency_key, Unset):
        headers["Idempotency-Key"] = idempotency_key

    if not isinstance(if_match, Unset):
        headers["If-Match"] = if_match



    

    params: dict[str, Any] = {}

    params["wait"] = wait


    params = {k: v for k, v in params.items() if v is not UNSET and v is not None}


    _kwargs: dict[str, Any] = {
        "method": "put",
        "url": "/v1/groups/{group_id}/messages/{message_id}/reactions/{key}".format(group_id=quote(str(group_id), safe=""),message_id=quote(str(message_id), safe=""),key=quote(str(key), safe=""),),
        "params": params,
    }

    
    if not isinstance(body, Unset):
        _kwargs["json"] = body.to_dict()

    headers["Content-Type"] = "application/json"

    _kwargs["headers"] = headers
    return _kwargs



def _parse_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem | None:
    if response.status_code == 200:
        def _parse_response_200(data: object) -> DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage:
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_0 = TextMessage.from_dict(data)



                return componentsschemas_message_type_0
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_1 = FileMessage.from_dict(data)



                return componentsschemas_message_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_2 = ReactionMessage.from_dict(data)



                return componentsschemas_message_type_2
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_3 = EditMessage.from_dict(data)



                return componentsschemas_message_type_3
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_4 = DeleteMessage.from_dict(data)



                return componentsschemas_message_type_4
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_5 = ReadMessage.from_dict(data)



                return componentsschemas_message_type_5
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_6 = TypingMessage.from_dict(data)



                return componentsschemas_message_type_6
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                componentsschemas_message_type_7 = DeletedMessage.from_dict(data)



                return componentsschemas_message_type_7
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            if not isinstance(data, dict):
                raise TypeError()
            componentsschemas_message_type_8 = OwnMessage.from_dict(data)



            return componentsschemas_message_type_8

        response_200 = _parse_response_200(response.json())

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

    if response.status_code == 412:
        response_412 = Problem.from_dict(response.json())



        return response_412

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


def _build_response(*, client: AuthenticatedClient | Client, response: httpx.Response) -> Response[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    group_id: str,
    message_id: str,
    key: str,
    *,
    client: AuthenticatedClient,
    body: ReactionRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,

) -> Response[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem]:
    """ React to a message.

     The answer is the message of type `reaction` that carries it. Reacting twice with the same key
    is reacting once.

    The token needs the scope `messages:send`.

    Args:
        group_id (str):
        message_id (str):
        key (str):
        wait (int | Unset):
        idempotency_key (str | Unset):
        if_match (str | Unset):
        body (ReactionRequest | Unset): A reaction to send.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem]
     """


    kwargs = _get_kwargs(
        group_id=group_id,
message_id=message_id,
key=key,
body=body,
wait=wait,
idempotency_key=idempotency_key,
if_match=if_match,

    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)

def sync(
    group_id: str,
    message_id: str,
    key: str,
    *,
    client: AuthenticatedClient,
    body: ReactionRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,

) -> DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem | None:
    """ React to a message.

     The answer is the message of type `reaction` that carries it. Reacting twice with the same key
    is reacting once.

    The token needs the scope `messages:send`.

    Args:
        group_id (str):
        message_id (str):
        key (str):
        wait (int | Unset):
        idempotency_key (str | Unset):
        if_match (str | Unset):
        body (ReactionRequest | Unset): A reaction to send.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem
     """


    return sync_detailed(
        group_id=group_id,
message_id=message_id,
key=key,
client=client,
body=body,
wait=wait,
idempotency_key=idempotency_key,
if_match=if_match,

    ).parsed

async def asyncio_detailed(
    group_id: str,
    message_id: str,
    key: str,
    *,
    client: AuthenticatedClient,
    body: ReactionRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,

) -> Response[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem]:
    """ React to a message.

     The answer is the message of type `reaction` that carries it. Reacting twice with the same key
    is reacting once.

    The token needs the scope `messages:send`.

    Args:
        group_id (str):
        message_id (str):
        key (str):
        wait (int | Unset):
        idempotency_key (str | Unset):
        if_match (str | Unset):
        body (ReactionRequest | Unset): A reaction to send.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem]
     """


    kwargs = _get_kwargs(
        group_id=group_id,
message_id=message_id,
key=key,
body=body,
wait=wait,
idempotency_key=idempotency_key,
if_match=if_match,

    )

    response = await client.get_async_httpx_client().request(
        **kwargs
    )

    return _build_response(client=client, response=response)

async def asyncio(
    group_id: str,
    message_id: str,
    key: str,
    *,
    client: AuthenticatedClient,
    body: ReactionRequest | Unset = UNSET,
    wait: int | Unset = UNSET,
    idempotency_key: str | Unset = UNSET,
    if_match: str | Unset = UNSET,

) -> DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem | None:
    """ React to a message.

     The answer is the message of type `reaction` that carries it. Reacting twice with the same key
    is reacting once.

    The token needs the scope `messages:send`.

    Args:
        group_id (str):
        message_id (str):
        key (str):
        wait (int | Unset):
        idempotency_key (str | Unset):
        if_match (str | Unset):
        body (ReactionRequest | Unset): A reaction to send.

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        DeletedMessage | DeleteMessage | EditMessage | FileMessage | OwnMessage | ReactionMessage | ReadMessage | TextMessage | TypingMessage | Problem
     """


    return (await asyncio_detailed(
        group_id=group_id,
message_id=message_id,
key=key,
client=client,
body=body,
wait=wait,
idempotency_key=idempotency_key,
if_match=if_match,

    )).parsed
