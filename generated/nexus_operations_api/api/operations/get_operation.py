from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import httpx

from ... import errors
from ...client import AuthenticatedClient, Client
from ...models.error import Error
from ...models.operation import Operation
from ...types import Response


def _get_kwargs(
    project_id: str,
    op_id: str,
) -> dict[str, Any]:

    _kwargs: dict[str, Any] = {
        "method": "get",
        "url": "/projects/{project_id}/operations/{op_id}".format(
            project_id=quote(str(project_id), safe=""),
            op_id=quote(str(op_id), safe=""),
        ),
    }

    return _kwargs


def _parse_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Error | Operation | None:
    if response.status_code == 200:
        response_200 = Operation.from_json(response.content)

        return response_200

    if response.status_code == 400:
        response_400 = Error.from_json(response.content)

        return response_400

    if response.status_code == 401:
        response_401 = Error.from_json(response.content)

        return response_401

    if response.status_code == 403:
        response_403 = Error.from_json(response.content)

        return response_403

    if response.status_code == 404:
        response_404 = Error.from_json(response.content)

        return response_404

    if response.status_code == 429:
        response_429 = Error.from_json(response.content)

        return response_429

    if response.status_code == 500:
        response_500 = Error.from_json(response.content)

        return response_500

    if response.status_code == 502:
        response_502 = Error.from_json(response.content)

        return response_502

    if response.status_code == 503:
        response_503 = Error.from_json(response.content)

        return response_503

    if response.status_code == 504:
        response_504 = Error.from_json(response.content)

        return response_504

    if response.status_code == 520:
        response_520 = Error.from_json(response.content)

        return response_520

    if response.status_code == 521:
        response_521 = Error.from_json(response.content)

        return response_521

    if response.status_code == 522:
        response_522 = Error.from_json(response.content)

        return response_522

    if response.status_code == 523:
        response_523 = Error.from_json(response.content)

        return response_523

    if response.status_code == 524:
        response_524 = Error.from_json(response.content)

        return response_524

    if client.raise_on_unexpected_status:
        raise errors.UnexpectedStatus(response.status_code, response.content)
    else:
        return None


def _build_response(
    *, client: AuthenticatedClient | Client, response: httpx.Response
) -> Response[Error | Operation]:
    return Response(
        status_code=HTTPStatus(response.status_code),
        content=response.content,
        headers=response.headers,
        parsed=_parse_response(client=client, response=response),
    )


def sync_detailed(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Response[Error | Operation]:
    """Retrieve an operation

     Returns the operation as it is now. Safe to repeat: waiting for an operation is retrieving it until
    its status is terminal.

    Args:
        project_id (str):
        op_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | Operation]
    """

    kwargs = _get_kwargs(
        project_id=project_id,
        op_id=op_id,
    )

    response = client.get_httpx_client().request(
        **kwargs,
    )

    return _build_response(client=client, response=response)


def sync(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Error | Operation | None:
    """Retrieve an operation

     Returns the operation as it is now. Safe to repeat: waiting for an operation is retrieving it until
    its status is terminal.

    Args:
        project_id (str):
        op_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | Operation
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
) -> Response[Error | Operation]:
    """Retrieve an operation

     Returns the operation as it is now. Safe to repeat: waiting for an operation is retrieving it until
    its status is terminal.

    Args:
        project_id (str):
        op_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Response[Error | Operation]
    """

    kwargs = _get_kwargs(
        project_id=project_id,
        op_id=op_id,
    )

    response = await client.get_async_httpx_client().request(**kwargs)

    return _build_response(client=client, response=response)


async def asyncio(
    project_id: str,
    op_id: str,
    *,
    client: AuthenticatedClient,
) -> Error | Operation | None:
    """Retrieve an operation

     Returns the operation as it is now. Safe to repeat: waiting for an operation is retrieving it until
    its status is terminal.

    Args:
        project_id (str):
        op_id (str):

    Raises:
        errors.UnexpectedStatus: If the server returns an undocumented status code and Client.raise_on_unexpected_status is True.
        httpx.TimeoutException: If the request takes longer than Client.timeout.

    Returns:
        Error | Operation
    """

    return (
        await asyncio_detailed(
            project_id=project_id,
            op_id=op_id,
            client=client,
        )
    ).parsed
