"""The options that the commands share, and what becomes of them: ids, a client, durations."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nexus_operations import Client

SECRET_VARIABLE = "NEXUS_SECRET"  # noqa: S105  (a name, not a secret)
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
WHO = "Who and where"
BOUNDS = "Bounds"


def duration(text: str) -> float | None:
    """Return the seconds of `90`, `90s`, `15m`, `10h`, `2d`; `none` is no bound."""
    if text.strip().lower() == "none":
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration such as 90, 90s, 15m, 10h, 2d or none")
    return float(match[1]) * UNITS[match[2]]


OpIds = Annotated[
    list[str] | None,
    typer.Argument(metavar="[OP]...", help="Ids of operations. None, or `-`: from standard input."),
]
ProjectOption = Annotated[
    str | None,
    typer.Option(
        "--project", "-p", envvar="NEXUS_PROJECT", help="The project's id.", rich_help_panel=WHO
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="DATATURE_API_BASE_URL",
        help="The service's base URL.",
        rich_help_panel=WHO,
    ),
]
SecretFileOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-file",
        envvar="NEXUS_SECRET_FILE",
        help=f"A file that holds the secret key, where {SECRET_VARIABLE} does not."
        " Without either, a terminal is asked.",
        rich_help_panel=WHO,
    ),
]
CertificateOption = Annotated[
    Path | None,
    typer.Option("--certificate", help="A client certificate (PEM).", rich_help_panel=WHO),
]
PrivateKeyOption = Annotated[
    Path | None,
    typer.Option("--private-key", help="Its private key (PEM).", rich_help_panel=WHO),
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
MaxWaitOption = Annotated[
    Any,
    typer.Option(
        "--max-wait",
        parser=duration,
        metavar="DURATION",
        help="The most time for each operation.",
        rich_help_panel=BOUNDS,
    ),
]
MaxOutageOption = Annotated[
    Any,
    typer.Option(
        "--max-outage",
        parser=duration,
        metavar="DURATION",
        help="The longest time without an answer that is tolerated.",
        rich_help_panel=BOUNDS,
    ),
]
RetrievalsOption = Annotated[
    int | None,
    typer.Option(
        "--max-retrievals",
        min=1,
        help="The most retrievals for each operation.",
        rich_help_panel=BOUNDS,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option("--max-rate", help="The most requests per second.", rich_help_panel=BOUNDS),
]
ConcurrencyOption = Annotated[
    int | None,
    typer.Option(
        "--max-concurrency", min=1, help="The most requests in flight.", rich_help_panel=BOUNDS
    ),
]


@dataclass(frozen=True)
class Where:
    """Who one is and where the service is, as the options and the environment say."""

    project: str | None
    endpoint: str | None
    secret_file: Path | None
    certificate: Path | None
    private_key: Path | None

    def connect(self, **options: Any) -> Client:
        """Return a client."""
        secret = self._secret()
        return Client(secret, self.certificate, self.private_key, self.endpoint, **options)

    def project_id(self) -> str:
        """Return the project's id."""
        if not self.project:
            raise typer.BadParameter("no project: give --project or set NEXUS_PROJECT")
        return self.project

    def _secret(self) -> str | None:
        """Return the secret from the environment, the file or the terminal; never an argument."""
        if secret := os.environ.get(SECRET_VARIABLE):
            return secret
        if self.secret_file is not None:
            try:
                return self.secret_file.read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                raise typer.BadParameter(f"the secret's file cannot be read: {error}") from None
        if self.certificate is not None:
            return None
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise typer.BadParameter(f"no secret key: set {SECRET_VARIABLE} or give --secret-file")
        return str(typer.prompt("Secret key", hide_input=True, err=True))


def read_ids(given: list[str] | None) -> list[str]:
    """Return the ids given, those on standard input in the place of `-`; each once."""
    ids: list[str] = []
    for word in given or ["-"]:
        if word != "-":
            ids.append(word)
        elif sys.stdin.isatty():
            raise typer.BadParameter("no ids: give them as arguments or on standard input")
        else:
            ids += sys.stdin.read().split()
    if not ids:
        raise typer.BadParameter("no ids: standard input was empty")
    return list(dict.fromkeys(ids))
