"""The commands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from nexus_operations import Adaptive, __version__

from ._contract import register as register_contract
from ._options import (
    CertificateOption,
    ConcurrencyOption,
    DurationsOption,
    EndpointOption,
    HeartbeatOption,
    JsonOption,
    MaxOutageOption,
    MaxWaitOption,
    NoDurationsOption,
    OpIds,
    PaceOption,
    PollsOption,
    PrivateKeyOption,
    ProjectOption,
    RateOption,
    SecretFileOption,
    Where,
    default_durations,
    is_given,
)
from ._report import Snapshots
from ._run import show_wait, wait

CODES_HELP = """

Exit codes: 0 all finished, 1 one errored or was cancelled, 2 usage, 3 one is still running,
4 trouble with the service or the network, 70 a defect of this command, 74 output that cannot be
written, 130 interrupted, 143 terminated.
"""
GET_CODES_HELP = """

Exit codes: 0 all were retrieved, 1 one errored or was cancelled, 2 usage, 4 trouble with the
service or the network, 70 a defect of this command, 74 output that cannot be written,
130 interrupted, 143 terminated.
"""
GET_EXAMPLES = """
Examples:

  export NEXUS_SECRET=…  NEXUS_PROJECT=proj_…

  nexus-operations get op_508fc5d1-e908-486d-9e7b-1dca99b80024

  nexus-operations get --json OP | jq .operation.status
"""
WAIT_EXAMPLES = """
Examples:

  nexus-operations wait op_508fc5d1-e908-486d-9e7b-1dca99b80024

  nexus-operations wait --max-wait 1h30m OP1 OP2 && ./next-step

  ./start-exports | nexus-operations wait --max-rate 10 -
"""
WATCH_EXAMPLES = """
Examples:

  nexus-operations watch op_508fc5d1-e908-486d-9e7b-1dca99b80024

  nexus-operations watch --json OP1 OP2 > progress.jsonl
"""
SIMULATE_EXAMPLES = """
Examples:

  nexus-operations simulate --port 8765

  nexus-operations simulate --speed 60 --no-samples
"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Wait for long-running operations of Datature Nexus."
    " The secret key comes from NEXUS_SECRET, a file or a prompt, never from an argument.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where a defect of the command itself happened.")
    ] = False,
) -> None:
    pass


@app.command(
    epilog=GET_EXAMPLES,
    short_help="Show operations as they are now.",
    help="Show operations as they are now, with one request each." + GET_CODES_HELP,
)
def get(
    context: typer.Context,
    op_ids: OpIds = None,
    project: ProjectOption = None,
    endpoint: EndpointOption = None,
    secret_file: SecretFileOption = None,
    certificate: CertificateOption = None,
    private_key: PrivateKeyOption = None,
    json: JsonOption = False,
) -> None:
    """Show operations as they are now."""
    file_first = is_given(context, "secret_file")
    where = Where(project, endpoint, secret_file, certificate, private_key, file_first)
    bounds = {"timeout": 1, "max_outage": 0}

    def show(_: int | None) -> Snapshots:
        return Snapshots(json=json)

    wait(context, where, op_ids, show, {}, bounds, running_is_fine=True)


def _waiting(name: str, epilog: str, *, every_change: bool, short_help: str, help: str) -> None:  # noqa: A002
    """Define one of the two commands that wait: they differ in what they print."""

    @app.command(name, epilog=epilog, short_help=short_help, help=help + CODES_HELP)
    def command(
        context: typer.Context,
        op_ids: OpIds = None,
        project: ProjectOption = None,
        endpoint: EndpointOption = None,
        secret_file: SecretFileOption = None,
        certificate: CertificateOption = None,
        private_key: PrivateKeyOption = None,
        max_wait: MaxWaitOption = "10h",
        max_outage: MaxOutageOption = "30m",
        max_polls: PollsOption = None,
        pace: PaceOption = 1.0,
        max_rate: RateOption = None,
        max_concurrency: ConcurrencyOption = None,
        durations: DurationsOption = None,
        no_durations: NoDurationsOption = False,
        heartbeat: HeartbeatOption = "60s",
        json: JsonOption = False,
    ) -> None:
        file_first = is_given(context, "secret_file")
        where = Where(project, endpoint, secret_file, certificate, private_key, file_first)
        client = {"max_rate": max_rate, "max_concurrency": max_concurrency}
        bounds: dict[str, Any] = {"max_wait": max_wait, "max_outage": max_outage}
        try:
            bounds |= {"timeout": max_polls, "schedule": Adaptive(pace=pace)}
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        show = show_wait(every_change=every_change, json=json, heartbeat=heartbeat)
        memory = None if no_durations else durations or default_durations()
        wait(context, where, op_ids, show, client, bounds, durations_file=memory)


_waiting(
    "wait",
    WAIT_EXAMPLES,
    every_change=False,
    short_help="Wait until operations have ended.",
    help="Wait until operations have ended. A terminal shows a live board; elsewhere a line is"
    " printed whenever an operation's status changes, and at least once a minute.",
)
_waiting(
    "watch",
    WATCH_EXAMPLES,
    every_change=True,
    short_help="Wait, and show every change.",
    help="Wait until operations have ended. A terminal shows a live board; elsewhere a line is"
    " printed for every change, also of a count, and at least once a minute.",
)


@app.command(epilog=SIMULATE_EXAMPLES)
def simulate(
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 picks a free one.")] = 0,
    speed: Annotated[
        float, typer.Option(min=0.001, help="Seconds of an operation's life in one second.")
    ] = 1.0,
    samples: Annotated[bool, typer.Option(help="Start a few operations to look at.")] = True,
    secret: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="The secret key to ask for, a made-up one; without it, any is taken.",
        ),
    ] = None,
) -> None:
    """Serve a simulated Nexus on this machine, with a live page of its operations.

    Ctrl-C ends it.
    """
    from ._simulate import serve

    serve(port, speed, samples, secret)


register_contract(app)
