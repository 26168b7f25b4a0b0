"""The options that the commands share, and what becomes of them: a client and durations."""

from __future__ import annotations

import getpass
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from nexus_operations import Client

from ._ids import text_of
from ._output import complain, secrets

SECRET_VARIABLE = "NEXUS_SECRET"  # noqa: S105  (a name, not a secret)
UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
PART = r"(\d+(?:\.\d+)?)\s*([smhd]?)"
WHO = "Who and where"
BOUNDS = "Bounds"


def duration(text: str) -> float | None:
    """Return the seconds of `90`, `90s`, `15m`, `1h30m`, `2d`; `None` for `none`."""
    word = text.strip().lower()
    if word == "none":
        return None
    parts = re.findall(PART, word)
    units = [unit for _, unit in parts]
    falling = sorted(set(units), key=lambda unit: -UNITS[unit]) == units
    whole = not re.sub(rf"{PART}\s*", "", word) and (len(units) == 1 or "" not in units)
    if not (parts and whole and falling):
        raise typer.BadParameter(f"{text!r} is no duration such as 90, 90s, 15m, 1h30m, 2d or none")
    return sum(float(number) * UNITS[unit] for number, unit in parts)


def interval(text: str) -> float | None:
    """Return a duration of more than 0 seconds; `None` for `none`."""
    seconds = duration(text)
    if seconds == 0:
        raise typer.BadParameter("must be more than 0, or none")
    return seconds


OpIds = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OP...",
        help="Ids of operations, or states of waits, as the line that resumes one has them; `-`"
        " reads them from standard input as they come.",
    ),
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
        help=f"A file that holds the secret key; goes before {SECRET_VARIABLE} if given here."
        " Without either, a terminal asks for it.",
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
HeartbeatOption = Annotated[
    Any,
    typer.Option(
        "--heartbeat",
        parser=interval,
        metavar="DURATION",
        help="Without a live board, the longest time without a line; none for no limit.",
    ),
]
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
PollsOption = Annotated[
    int | None,
    typer.Option(
        "--max-polls", min=1, help="The most polls for each operation.", rich_help_panel=BOUNDS
    ),
]
PaceOption = Annotated[
    float,
    typer.Option(
        "--pace",
        help="Multiplies every delay between polls: 0.5 polls about twice as often.",
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
DurationsOption = Annotated[
    Path | None,
    typer.Option(
        "--durations",
        envvar="NEXUS_DURATIONS",
        metavar="FILE",
        readable=False,  # it is no error if it cannot be read
        help="Where it is remembered how long operations of each kind take, by which polls are"
        " timed; no ids and no secrets. By default durations.json in the user's cache directory"
        " (on Linux ~/.cache/nexus-operations).",
        rich_help_panel=BOUNDS,
    ),
]
NoDurationsOption = Annotated[
    bool,
    typer.Option(
        "--no-durations", help="Neither use nor keep that memory.", rich_help_panel=BOUNDS
    ),
]


def is_given(context: typer.Context, name: str) -> bool:
    """Return whether an option was given, rather than taken from a variable or a default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def default_durations() -> Path | None:
    """Return the file of the command's memory, in the user's cache directory.

    Without a home directory that is said, and there is no memory.
    """
    try:
        if sys.platform == "win32":
            root = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        elif sys.platform == "darwin":
            root = Path.home() / "Library" / "Caches"
        else:
            root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        complain("durations are not remembered: there is no home directory (see --durations)")
        return None
    return Path(root) / "nexus-operations" / "durations.json"


@dataclass(frozen=True)
class Where:
    """Who one is and where the service is, as the options and the environment say.

    Attributes:
        file_first: Whether the secret's file was given as an option, which goes before a variable.
    """

    project: str | None
    endpoint: str | None
    secret_file: Path | None
    certificate: Path | None
    private_key: Path | None
    file_first: bool = False

    def connect(self, **options: Any) -> Client:
        """Return a client."""
        secret = self.secret()
        return Client(secret, self.certificate, self.private_key, self.endpoint, **options)

    def project_id(self) -> str:
        """Return the project's id."""
        if not self.project:
            raise typer.BadParameter("no project: give --project or set NEXUS_PROJECT")
        return self.project

    def secret(self) -> str | None:
        """Return the secret from the file, the environment or the terminal; never an argument."""
        secret = self._find_secret()
        if secret:
            secrets.add(secret)
        return secret

    def _find_secret(self) -> str | None:
        if self.secret_file is not None and self.file_first:
            return _secret_in(self.secret_file)
        if secret := os.environ.get(SECRET_VARIABLE):
            return secret
        if self.secret_file is not None:
            return _secret_in(self.secret_file)
        if self.certificate is not None:
            return None
        if sys.stdin is None or not sys.stdin.isatty() or not sys.stderr.isatty():
            raise typer.BadParameter(f"no secret key: set {SECRET_VARIABLE} or give --secret-file")
        return _asked_for()


def _secret_in(file: Path) -> str:
    """Return the secret that a file holds."""
    try:
        return text_of(file.read_bytes()).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise typer.BadParameter(f"the secret's file {file} cannot be read: {why}") from None


def _asked_for() -> str:
    """Return the secret that is typed at a prompt, which does not show it."""
    try:
        return getpass.getpass("Secret key: ")
    except EOFError:
        raise typer.BadParameter("no secret key was typed") from None
