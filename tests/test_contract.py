"""The provider's side of the contract: schemathesis drives the simulator through the document."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from nexus_operations.simulator import Life, Reply, Service
from nexus_operations.simulator._app import build_app
from schemathesis.config import SchemathesisConfig

DOCUMENT = Path(__file__).parent.parent / "openapi/operations.yaml"
PATH = "/projects/{project_id}/operations/{op_id}"
EXAMPLES = 500
CONFIG = SchemathesisConfig.from_dict(
    {
        "auth": {"openapi": {"SecretKey": {"api_key": "secret"}}},
        "generation": {"max-examples": EXAMPLES},
    }
)


class AnyId(Service):
    """A service that has an operation for every id, so that most answers are a 200."""

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
        """Answer, after starting the operation if there is none."""
        segments = [unquote(segment) for segment in path.split("/")]
        valid = len(segments) == 5 and re.search(r"^proj_.+$", segments[2]) and segments[4]
        if valid and (segments[2], segments[4]) not in self._records:
            self.start(Life(items=10), project_id=segments[2], op_id=segments[4])
        return super().answer(method, path, headers)


def load(service: Service) -> Any:
    """Return the document as a schema whose requests go to the simulator over a service."""
    schema = schemathesis.openapi.from_path(str(DOCUMENT), config=CONFIG)
    # The simulator has this one endpoint of the document.
    schema = schema.include(path=PATH, method="GET")
    schema.app = build_app(service, lambda scope, sent: None)
    schema.config.update(base_url="http://localhost")  # the simulator answers no other host
    return schema


some_ids, any_id = Service(secret="secret"), AnyId(secret="secret")
some_ids.start(
    project_id="proj_b705a30ae26671657f1fd51eb2d4739d",
    op_id="op_508fc5d1-e908-486d-9e7b-1dca99b80024",
)
schema_of_some_ids, schema_of_any_id = load(some_ids), load(any_id)


@schema_of_some_ids.parametrize()
def test_the_simulator_keeps_the_contract(case: Any) -> None:
    case.call_and_validate()


@schema_of_any_id.parametrize()
def test_its_operations_keep_the_contract(case: Any) -> None:
    case.call_and_validate()


def test_as_many_examples_as_promised_were_answered() -> None:
    assert some_ids.request_count + any_id.request_count >= EXAMPLES


def changed(reply: Reply, old: bytes, new: bytes) -> Reply:
    assert reply.status != 200 or old in reply.body
    return replace(reply, body=reply.body.replace(old, new))


BUGS: dict[str, Callable[[Reply], Reply]] = {
    "wrong type": lambda reply: changed(reply, b'"Queued": ', b'"Queued": "many", "queued": '),
    "negative count": lambda reply: changed(reply, b'"Queued": ', b'"Queued": -1, "queued": '),
    "missing key": lambda reply: changed(reply, b'"createDate"', b'"created"'),
    "undocumented code": lambda reply: replace(reply, status=418) if reply.status == 200 else reply,
    "wrong content type": lambda reply: replace(reply, headers={"Content-Type": "text/plain"}),
}


def run_against(service: Service) -> None:
    """Drive a service through the document; raise what schemathesis finds."""
    operation = load(service)[PATH]["GET"]

    @settings(
        max_examples=30, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def check(case: Any) -> None:
        case.call_and_validate()

    check()


def test_a_simulator_without_bugs_passes() -> None:
    run_against(AnyId(secret="secret"))


@pytest.mark.parametrize("bug", BUGS.values(), ids=BUGS)
def test_a_planted_bug_is_caught(bug: Callable[[Reply], Reply]) -> None:
    class Buggy(AnyId):
        def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Reply:
            return bug(super().answer(method, path, headers))

    with pytest.raises(BaseException, match=r"Response|schema|status|Content") as caught:
        run_against(Buggy(secret="secret"))
    assert "schemathesis" in f"{type(caught.value).__module__} {caught.value!r}"


def test_an_ignored_secret_is_caught() -> None:
    with pytest.raises(BaseException, match=r"[Aa]uth") as caught:
        run_against(AnyId(secret="secret", ask_for_secret=False))
    assert "schemathesis" in f"{type(caught.value).__module__} {caught.value!r}"
