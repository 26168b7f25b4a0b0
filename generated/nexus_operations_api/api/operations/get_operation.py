from __future__ import annotations

from typing import Any

import httpx

from ... import decoding, encoding, errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.operation import Operation
from ...types import Response, status_of

_RESPONSES: decoding.Responses[Error | Operation | str] = decoding.Responses(
    {
        "200": {
            "application/json": decoding.body(Operation.from_json),
        },
        "400": {
            "application/json": decoding.body(Error.from_json),
        },
        "401": {
            "application/json": decoding.body(Error.from_json),
        },
        "403": {
            "application/json": decoding.body(Error.from_json),
        },
        "404": {
            "application/json": decoding.body(Error.from_json),
        },
        "429": {
            "application/json": decoding.body(Error.from_json),
        },
        "500": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "502": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "503": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "504": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "520": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "521": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "522": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "523": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
        "524": {
            "application/json": decoding.body(Error.from_json),
            "text/html": decoding.text,
        },
    }
)


def _get_kwargs(
    project_id: str,
    op_id: str,
) -> dict[str, Any]:
    _request = encoding.Request("get", "/projects/{project_id}/operations/{op_id}")
    _request.path("project_id", project_id)
    _request.path("op_id", op_id)
    return _request.kwargs()


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | Operation | str | None:
    _unexpected = errors.UnexpectedStatus if client.raise_on_unexpected_status else None
    return _RESPONSES.parse(response, _unexpected)


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Error | Operation | str]:
    return Response(
        status_code=status_of(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Response[Error | Operation | str]:
    """Retrieve an operation

    Returns the operation as it is now. Safe to repeat: waiting for an operation is
    retrieving it until its status is terminal.

    Args:
        project_id: The id of the project, prefix included.
        op_id: The id of the operation, as returned by the call that started it: `op_`
            and a UUID. Ids of other jobs (`annotsess_…`, `model_…`, `run_…`) are not
            found.

    Raises:
        errors.UnexpectedStatus: For a status that is not documented, if the client
    raises.
        msgspec.DecodeError: If a body breaks the contract.
    """
    _response = client.get_httpx_client().request(
        **_get_kwargs(
            project_id=project_id,
            op_id=op_id,
        )
    )
    return _build_response(client=client, response=_response)


def sync(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Error | Operation | str | None:
    """Retrieve an operation

    Returns the operation as it is now. Safe to repeat: waiting for an operation is
    retrieving it until its status is terminal.

    Args:
        project_id: The id of the project, prefix included.
        op_id: The id of the operation, as returned by the call that started it: `op_`
            and a UUID. Ids of other jobs (`annotsess_…`, `model_…`, `run_…`) are not
            found.

    Raises:
        errors.UnexpectedStatus: For a status that is not documented, if the client
    raises.
        msgspec.DecodeError: If a body breaks the contract.
    """
    return sync_detailed(
        project_id=project_id,
        op_id=op_id,
        client=client,
    ).parsed


async def asyncio_detailed(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Response[Error | Operation | str]:
    """Retrieve an operation

    Returns the operation as it is now. Safe to repeat: waiting for an operation is
    retrieving it until its status is terminal.

    Args:
        project_id: The id of the project, prefix included.
        op_id: The id of the operation, as returned by the call that started it: `op_`
            and a UUID. Ids of other jobs (`annotsess_…`, `model_…`, `run_…`) are not
            found.

    Raises:
        errors.UnexpectedStatus: For a status that is not documented, if the client
    raises.
        msgspec.DecodeError: If a body breaks the contract.
    """
    _response = await client.get_async_httpx_client().request(
        **_get_kwargs(
            project_id=project_id,
            op_id=op_id,
        )
    )
    return _build_response(client=client, response=_response)


async def asyncio(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Error | Operation | str | None:
    """Retrieve an operation

    Returns the operation as it is now. Safe to repeat: waiting for an operation is
    retrieving it until its status is terminal.

    Args:
        project_id: The id of the project, prefix included.
        op_id: The id of the operation, as returned by the call that started it: `op_`
            and a UUID. Ids of other jobs (`annotsess_…`, `model_…`, `run_…`) are not
            found.

    Raises:
        errors.UnexpectedStatus: For a status that is not documented, if the client
    raises.
        msgspec.DecodeError: If a body breaks the contract.
    """
    return (
        await asyncio_detailed(
            project_id=project_id,
            op_id=op_id,
            client=client,
        )
    ).parsed
