"""The simulator's control API and its live page, driven by a headless Chromium."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from nexus_operations import Client, RequestTimeoutError
from nexus_operations.simulator import Life, Simulator

from tests.browser import browser, chromium
from tests.conftest import PROJECT, SECRET, Driver

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def http(nexus_simulator: Simulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=nexus_simulator.endpoint) as client:
        yield client


class TestControlApi:
    @pytest.mark.parametrize("outcome", ["Finished", "Errored", "Cancelled"])
    def test_an_operation_is_ended(
        self, http: httpx.Client, nexus_simulator: Simulator, outcome: Any
    ) -> None:
        op_id = nexus_simulator.start(Life(duration=100, items=10, age=50))
        body = {"op_id": op_id, "outcome": outcome}
        assert http.post("/_simulator/ends", json=body).status_code == 204
        (shown,) = http.get("/_simulator/state").json()["operations"]
        counts = shown["status"]["progress"]["withStatus"]
        assert shown["status"]["overview"] == outcome
        assert sum(counts.values()) == 10
        assert counts["Queued"] == counts["Running"] == 0
        assert counts[outcome] == (10 if outcome == "Finished" else 5)

    def test_ends_that_cannot_be(self, http: httpx.Client) -> None:
        assert http.post("/_simulator/ends", json={"op_id": "op_1"}).status_code == 404
        bad = http.post("/_simulator/ends", json={"op_id": "op_1", "outcome": "Lost"})
        assert bad.status_code == 400
        assert "$.outcome" in bad.json()["message"]

    def test_the_service_is_made_slow(self, http: httpx.Client, nexus_simulator: Simulator) -> None:
        assert http.put("/_simulator/latency", json={"seconds": 30}).status_code == 204
        op_id = nexus_simulator.start()
        options: dict[str, Any] = {"endpoint": http.base_url.__str__(), "request_timeout": 0.2}
        with Client(SECRET, **options) as client, pytest.raises(RequestTimeoutError):
            client.get_project(PROJECT).operations.get(op_id)
        assert http.get("/_simulator/state").json()["latency"] == 30
        assert http.put("/_simulator/latency", json={"seconds": -1}).status_code == 400

    def test_an_ended_operation_ends_a_wait(self, nexus: Driver) -> None:
        op_id = nexus.service.start(Life(outcome="Running", items=3))
        nexus.service.end(op_id, message="Done by hand")
        operation = nexus.wait(op_id)
        assert operation is not None
        assert operation.status.message == "Done by hand"

    def test_what_is_served(self, http: httpx.Client) -> None:
        for path in ("/", "/_simulator", "/_simulator/contract"):
            page = http.get(path)
            assert page.headers["content-type"] == "text/html; charset=utf-8"
            assert page.headers["content-security-policy"] == "default-src 'self'; img-src data:"
            for link in re.findall(r'(?:href|src)="(/[^"]+)"', page.text):
                assert http.get(link).status_code == 200
        assert "OperationProgressWithStatus" in page.text


@pytest.fixture(scope="module")
def chromium_page() -> Iterator[Page]:
    if chromium() is None:
        pytest.skip("Chromium is not installed (Debian's package `chromium`)")
    with browser() as started:
        yield started.new_page()


class TestPage:
    @pytest.fixture
    def page(self, chromium_page: Page, nexus_simulator: Simulator) -> Page:
        self.problems: list[str] = []
        chromium_page.on("pageerror", lambda error: self.problems.append(str(error)))
        chromium_page.on(
            "console",
            lambda message: self.problems.append(message.text) if message.type == "error" else None,
        )
        chromium_page.goto(nexus_simulator.endpoint)
        return chromium_page

    def test_start_watch_and_fail_an_operation(
        self, page: Page, nexus_simulator: Simulator
    ) -> None:
        page.wait_for_selector("#none:not([hidden])")
        page.fill("[name=duration]", "600")
        page.click("#start button")
        page.wait_for_selector("text=Started.")
        row = page.wait_for_selector("tr[data-status=Running]")
        assert row is not None
        op_id = row.get_attribute("data-id")
        assert op_id is not None
        page.wait_for_selector(f"text=nexus-operations wait {op_id}")
        page.get_by_role("button", name=f"fail {op_id}").click()
        page.wait_for_selector("tr[data-status=Errored]")
        page.wait_for_selector(f"#done:has-text('{op_id}: Errored')")
        page.wait_for_selector("tr[data-status=Errored] >> text=Operation errored")  # its message
        with Client(SECRET, endpoint=nexus_simulator.endpoint) as client:
            operation = client.get_project(PROJECT).operations.get(op_id)
        assert operation.status.overview == "Errored"
        assert self.problems == []

    def test_make_the_service_slow(self, page: Page, nexus_simulator: Simulator) -> None:
        page.select_option("[name=latency]", "5")
        page.wait_for_function("document.getElementById('trouble').latency.value === '5'")
        for _ in range(100):
            if nexus_simulator.service.latency == 5:
                break
            page.wait_for_timeout(20)
        assert nexus_simulator.service.latency == 5
        assert self.problems == []

    def test_make_trouble(self, page: Page, nexus_simulator: Simulator) -> None:
        with page.expect_response("**/_simulator/troubles") as answer:
            page.click("text=429")
        assert answer.value.status == 204
        page.wait_for_selector("#done:has-text('Next: 429, retry after 5 s.')")
        op_id = nexus_simulator.start()
        path = f"/projects/{PROJECT}/operations/{op_id}"
        answered = httpx.get(nexus_simulator.endpoint + path, headers={"Secret-Key": SECRET})
        assert (answered.status_code, answered.headers["retry-after"]) == (429, "5")

    def test_what_an_operation_says_is_no_markup(
        self, page: Page, nexus_simulator: Simulator
    ) -> None:
        evil = "<img src=x onerror=alert(1)>"
        op_id = nexus_simulator.start(Life(duration=0, message=evil), op_id=f"op_{evil}")
        page.wait_for_selector("tr[data-status=Finished]")
        assert page.locator("td img").count() == 0
        assert page.locator("tr[data-status] td").first.inner_text() == op_id

    def test_ids_are_quoted_in_the_shells_line(
        self, page: Page, nexus_simulator: Simulator
    ) -> None:
        evil = "op_$(touch pwned) 'x'"
        nexus_simulator.start(Life(outcome="Running"), op_id=evil)
        line = page.wait_for_selector("#command:has-text('touch')")
        assert line is not None
        shown = line.inner_text().splitlines()[-1]
        assert shlex.split(shown) == ["nexus-operations", "wait", evil]

    def test_it_says_when_the_service_is_gone_and_back(self, page: Page) -> None:
        with Simulator() as simulator:
            page.goto(simulator.endpoint)
            page.wait_for_selector("#none:not([hidden])")
            simulator.down()
            page.wait_for_selector("#failure:has-text('does not answer')")
            simulator.up()
            page.wait_for_selector("#done:has-text('answers again')")
            assert page.inner_text("#failure") == ""

    def test_ten_thousand_operations(self, page: Page, nexus_simulator: Simulator) -> None:
        for _ in range(10_000):
            nexus_simulator.start(Life(outcome="Running", duration=0))
        page.wait_for_selector("#more:has-text('9800 older ones')")
        assert page.locator("tbody tr").count() == 200
        page.wait_for_selector("#counts:has-text('10000 Running')")

    @pytest.mark.parametrize("width", [320, 400, 1280])
    def test_nothing_overflows(self, page: Page, nexus_simulator: Simulator, width: int) -> None:
        life = Life(duration=0, outcome="Errored", message="Disk quota exceeded: " + "x" * 200)
        nexus_simulator.start(life)
        page.set_viewport_size({"width": width, "height": 800})
        page.wait_for_selector("tr[data-status=Errored]")
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    def test_the_contract_is_a_click_away(self, page: Page) -> None:
        page.click("text=the contract")
        page.wait_for_selector("text=OperationProgressWithStatus")
        assert self.problems == []
