"""`nexus-operations contract`: does a service keep the contract?"""

from __future__ import annotations

import ssl
from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from nexus_operations._core import checks
from nexus_operations._core.text import escape_text

from ._options import (
    BOUNDS,
    CertificateOption,
    EndpointOption,
    JsonOption,
    PrivateKeyOption,
    ProjectOption,
    SecretFileOption,
    Where,
    duration,
    is_given,
)
from ._output import write_json, write_line

DEFAULT_ENDPOINT = "https://api.datature.io"
EXAMPLES = """
Examples:

  export NEXUS_SECRET=…  NEXUS_PROJECT=proj_…

  nexus-operations contract op_508fc5d1-e908-486d-9e7b-1dca99b80024

  nexus-operations contract --junit contract.xml --max-latency 2s OP
"""
HELP = """Check a service against the contract, with GET requests only.

It retrieves the operation named, operations that do not exist, and the operation without a secret
and with a wrong one; each answer goes through the checks, of which each gets a line. Needs the
extra `contract`.

Exit codes: 0 the contract is kept, 1 it is broken, 2 usage, 4 the operation was not seen, or not
all could be checked, 130 interrupted.
"""

LatencyOption = Annotated[
    Any,
    typer.Option(
        "--max-latency",
        parser=duration,
        metavar="DURATION",
        help="The most time that an answer may take.",
        rich_help_panel=BOUNDS,
    ),
]


def contract(
    context: typer.Context,
    op: Annotated[str, typer.Argument(metavar="OP", help="The id of an operation, or its link.")],
    project: ProjectOption = None,
    endpoint: EndpointOption = None,
    secret_file: SecretFileOption = None,
    certificate: CertificateOption = None,
    private_key: PrivateKeyOption = None,
    max_requests: Annotated[
        int,
        typer.Option("--max-requests", min=1, help="The most requests.", rich_help_panel=BOUNDS),
    ] = 30,
    max_rate: Annotated[
        float,
        typer.Option(
            "--max-rate", min=0.01, help="The most requests per second.", rich_help_panel=BOUNDS
        ),
    ] = 5.0,
    max_latency: LatencyOption = "10s",
    json: JsonOption = False,
    junit: Annotated[
        Path | None, typer.Option("--junit", help="A file to write JUnit XML to.")
    ] = None,
) -> None:
    """Check a service against the contract; see `HELP`."""
    file_first = is_given(context, "secret_file")
    where = Where(project, endpoint, secret_file, certificate, private_key, file_first)
    project_id = where.project_id()
    secret = where.secret()
    if secret is not None and not (secret.isascii() and secret.isprintable()):
        raise typer.BadParameter("the secret key has characters that a header cannot carry")
    if not max_latency:
        raise typer.BadParameter("--max-latency must be more than 0, and a bound")
    op_id = f"op_{op.rstrip('/').rpartition('/')[2]}" if "/" in op else op
    try:
        checks.seconds("--max-latency", max_latency)
        checks.rate("--max-rate", max_rate)
        checks.identifier("--project", project_id)
        checks.identifier("OP", op_id)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    from nexus_operations.contract import check_service

    try:
        report = check_service(
            endpoint or DEFAULT_ENDPOINT,
            project_id,
            op_id,
            secret,
            max_requests=max_requests,
            max_rate=max_rate,
            max_latency=max_latency,
            verify=_context(certificate, private_key),
        )
    except ModuleNotFoundError as error:
        raise typer.BadParameter(str(error)) from None
    for line in report.json_lines() if json else report.lines():
        if json:
            write_json(loads(line))
        else:
            write_line(escape_text(line))
    if junit is not None:
        try:
            junit.write_text(report.junit(), encoding="utf-8")
        except OSError as error:
            raise typer.BadParameter(f"{junit} cannot be written: {error.strerror}") from None
    raise typer.Exit(report.exit_code)


def _context(certificate: Path | None, private_key: Path | None) -> ssl.SSLContext | bool:
    """Return what the service's certificate is checked with, and ours is shown by."""
    if certificate is None and private_key is not None:
        raise typer.BadParameter("--private-key needs --certificate")
    if certificate is None:
        return True
    context = ssl.create_default_context()
    try:
        context.load_cert_chain(certificate, private_key)
    except (OSError, ssl.SSLError) as error:
        raise typer.BadParameter(f"the certificate cannot be used: {error}") from None
    return context


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        "contract", help=HELP, epilog=EXAMPLES, short_help="Check a service against the contract."
    )(contract)
