"""The page of the routes in a real browser: states, refusals, redrive, and whoever uses it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from relay.health import PlaceHealth, State
from relay.operations.page import page as the_page
from tests.browser import a_browser
from tests.fakes import NOON
from tests.relay.operations.page_stage import (
    CAUSE,
    INGRESS,
    NASTY,
    REMEDY,
    Stage,
    a_health,
    a_refused_ingress,
    a_stage,
)

# One browser for all of them, hence one event loop and one process.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("browser")]

AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with a_browser() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with a_stage() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def page(browser: Browser) -> AsyncIterator[Page]:
    opened = await browser.new_page(locale="en-GB", timezone_id="UTC")
    opened.set_default_timeout(10_000)
    yield opened
    await opened.close()


async def shown(page: Page, stage: Stage) -> None:
    """Open the page and wait for the routes."""
    await page.goto(stage.url)
    await expect(page.locator("article")).to_have_count(len(stage.health))


def route(page: Page, name: str) -> Any:
    return page.get_by_role("article", name=name)


async def test_every_state_is_said_in_words_and_the_worst_stands_first(
    page: Page, stage: Stage
) -> None:
    await shown(page, stage)

    names = await page.locator("h2").all_text_contents()
    assert names == ["alarms", "lifecycle", "archive", "history", "twin-changes"]
    states = await page.locator(".state").all_text_contents()
    assert states == [
        "✕ refused: a role is missing",
        "? misconfigured: there is no such entity",
        "∅ unreachable: no answer in time",
        "! degraded: the namespace is busy",
        "✓ healthy",
    ]
    await expect(page.get_by_role("status").first).to_have_text("4 of 5 routes want attention.")
    assert await page.title() == "(4) Twin Relay: routes"


async def test_each_route_says_since_when_how_much_and_what_waits(
    page: Page, stage: Stage
) -> None:
    await shown(page, stage)

    alarms = await route(page, "alarms").locator("dd").all_text_contents()
    assert alarms == [
        "1 hour ago",
        "2 hours ago",
        "0",
        "1,417, the oldest from 1 hour ago",
        "0",
    ]
    lifecycle = await route(page, "lifecycle").locator("dd").all_text_contents()
    assert lifecycle[1] == "never"
    assert lifecycle[3] == "20,000 or more, the oldest from 3 days ago"
    archive = await route(page, "archive").locator("dd").all_text_contents()
    assert archive[3:] == ["not known yet", "not known yet"]
    changes = await route(page, "twin-changes").locator("dd").all_text_contents()
    assert changes[2:4] == ["128.4", "nothing"]


async def test_a_refusal_stands_there_in_words_with_the_command_that_mends_it(
    page: Page, stage: Stage
) -> None:
    await shown(page, stage)

    refused = route(page, "alarms")
    await expect(refused.locator(".why")).to_have_text(CAUSE)
    await expect(refused.locator("pre")).to_have_text(REMEDY)
    await expect(route(page, "history").locator("pre")).to_be_hidden()


async def test_an_ingress_that_lets_nobody_in_stands_before_all_routes(
    page: Page, stage: Stage
) -> None:
    stage.places = [a_refused_ingress()]
    await page.goto(stage.url)

    ingress = route(page, INGRESS)
    await expect(ingress.locator(".state")).to_have_text("✕ refused: a role is missing")
    await expect(ingress.locator(".why")).to_contain_text(
        "ingress/twin-events refused the relay"
    )
    await expect(ingress.locator("pre")).to_have_text(REMEDY)
    assert await ingress.locator("dd").all_text_contents() == ["7 minutes ago", "now"]
    await expect(ingress.get_by_role("button", name="Redrive")).to_be_hidden()
    assert await page.locator("h2").first.text_content() == INGRESS
    summary = page.get_by_role("status").first
    await expect(summary).to_have_text(
        f"{INGRESS} wants attention. 4 of 5 routes want attention."
    )
    assert await page.title() == "(5) Twin Relay: routes"


async def test_an_ingress_that_lets_the_relay_in_stands_before_the_healthy_routes(
    page: Page, stage: Stage
) -> None:
    stage.places = [PlaceHealth(INGRESS, State.HEALTHY, NOON)]
    await page.goto(stage.url)

    ingress = route(page, INGRESS)
    await expect(ingress.locator(".state")).to_have_text("✓ healthy (not tried yet)")
    assert await ingress.locator("dd").all_text_contents() == ["now", "never"]
    names = await page.locator("h2").all_text_contents()
    assert names[-2:] == [INGRESS, "twin-changes"]


async def test_dead_letters_that_let_nobody_in_are_shown_as_such(
    page: Page, stage: Stage
) -> None:
    refused = replace(a_refused_ingress(), place="dead letters")
    stage.places = [refused]
    await page.goto(stage.url)

    store = route(page, "dead letters")
    await expect(store.locator(".state")).to_have_text("✕ refused: a role is missing")
    await expect(store.locator(".to").first).to_have_text(
        "where events wait that could not be delivered"
    )


async def test_what_a_destination_says_is_text_and_nothing_else(
    page: Page, stage: Stage
) -> None:
    await shown(page, stage)

    await expect(route(page, "archive").locator(".why")).to_have_text(NASTY)
    assert await page.locator("img").count() == 0


async def test_a_route_is_redriven_by_its_button(page: Page, stage: Stage) -> None:
    await shown(page, stage)

    await page.get_by_role("button", name="Redrive now: alarms").click()

    status = route(page, "alarms").get_by_role("status")
    await expect(status).to_have_text("Redriven: 1,417.")
    assert stage.redriven == ["alarms"]


async def test_what_stays_behind_after_a_redrive_is_said_with_its_reason(
    page: Page, stage: Stage
) -> None:
    left = [{"route": "alarms", "why": "forbidden: it lacks the role"}]
    stage.outcome = {"delivered": 3, "held": 2, "left": left, "isWhole": False}
    await shown(page, stage)

    await page.get_by_role("button", name="Redrive now: alarms").click()

    status = route(page, "alarms").get_by_role("status")
    await expect(status).to_have_text(
        "Redriven: 3, 2 held for a person. The rest waits on: forbidden: it lacks the role"
    )


async def test_what_has_nothing_to_redrive_has_no_button(page: Page, stage: Stage) -> None:
    await shown(page, stage)

    await expect(page.get_by_role("button", name="Redrive now: twin-changes")).to_be_hidden()


async def test_whoever_is_not_let_in_is_told_why_and_pastes_a_token(
    page: Page, stage: Stage
) -> None:
    stage.token = "good"
    await page.goto(stage.url)
    await expect(page.locator("#sign-in-why")).to_have_text("No token was given.")
    platform = page.get_by_role("link", name="Sign in with Microsoft")
    assert await platform.get_attribute("href") == (
        "/.auth/login/aad?post_login_redirect_uri=%2Fapi%2Froutes"
    )

    await page.get_by_label("Access token").fill("bad")
    await page.get_by_role("button", name="Use the token").click()
    await expect(page.locator("#sign-in-why")).to_contain_text("plant-it@example.com")

    await page.get_by_label("Access token").fill("good")
    await page.keyboard.press("Enter")
    await expect(page.locator("article")).to_have_count(5)
    await expect(page.locator("#sign-in")).to_be_hidden()
    assert await page.evaluate("JSON.stringify([localStorage, sessionStorage])") == "[{},{}]"


async def test_a_redrive_that_is_not_allowed_says_why(page: Page, stage: Stage) -> None:
    await shown(page, stage)
    stage.token = "good"

    await page.get_by_role("button", name="Redrive now: alarms").click()

    status = route(page, "alarms").get_by_role("status")
    await expect(status).to_have_text("No token was given.")


async def test_the_page_updates_by_itself_and_keeps_the_focus(page: Page, stage: Stage) -> None:
    await page.clock.install()
    await shown(page, stage)
    button = page.get_by_role("button", name="Redrive now: history")
    await button.focus()

    stage.health = [
        *(health for health in stage.health if health.route not in {"alarms", "archive"}),
        a_health("alarms", State.HEALTHY),
    ]
    await page.clock.fast_forward(11_000)

    await expect(page.locator("article")).to_have_count(4)
    await expect(route(page, "alarms").locator(".state")).to_have_text("✓ healthy")
    await expect(button).to_be_focused()


async def test_a_relay_that_does_not_answer_is_said(page: Page, stage: Stage) -> None:
    await page.clock.install()
    await shown(page, stage)

    await stage.server.stop()
    await page.clock.fast_forward(11_000)

    await expect(page.locator("#summary")).to_contain_text("The relay does not answer")
    await expect(page.locator("article")).to_have_count(5)


async def test_everything_is_reached_by_keyboard(page: Page, stage: Stage) -> None:
    await shown(page, stage)

    reached: list[str | None] = []
    for _ in range(5):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.getAttribute('aria-label')"))

    assert reached == [
        "Command that mends alarms",
        "Copy the command that mends alarms",
        "Redrive now: alarms",
        "Redrive now: lifecycle",
        "Redrive now: history",
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
async def test_axe_finds_nothing_to_complain_of(
    page: Page, stage: Stage, scheme: Any, width: int
) -> None:
    await page.emulate_media(color_scheme=scheme)
    await page.set_viewport_size({"width": width, "height": 800})
    stage.places = [a_refused_ingress()]
    await page.goto(stage.url)
    await expect(page.locator("article")).to_have_count(6)
    await page.evaluate("document.getElementById('sign-in').hidden = false")

    await page.evaluate(AXE.read_text("utf-8"))
    found = await page.evaluate(f"axe.run(document, {json.dumps(RULES)})")

    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []
    assert len(found["passes"]) > 20


async def test_a_phone_shows_it_without_scrolling_sideways(page: Page, stage: Stage) -> None:
    await page.set_viewport_size({"width": 320, "height": 640})
    await shown(page, stage)

    wide = await page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 320


async def test_nothing_is_loaded_from_elsewhere(page: Page, stage: Stage) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await shown(page, stage)

    assert {url for url in asked if "favicon" not in url} == {stage.url}
    assert [c for c in complaints if "Content Security Policy" in c] == []


async def test_the_page_may_run_its_own_script_only() -> None:
    body, headers = the_page()

    assert "'unsafe-inline'" not in headers["Content-Security-Policy"]
    assert headers["Content-Security-Policy"].count("sha256-") == 2
    assert not re.search(rb"(?:src|href)=.https?:", body)


async def test_the_stage_answers_what_the_relay_would() -> None:
    told = Stage().told()

    assert told["asOf"] == NOON.isoformat()
    assert told["routes"][1]["backlog"]["waiting"] == 1417


async def test_a_page_that_is_not_in_view_asks_nothing(page: Page, stage: Stage) -> None:
    await page.clock.install()
    await shown(page, stage)
    await page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})"
    )
    await page.clock.fast_forward(11_000)
    await asyncio.to_thread(lambda: None)
    before = stage.asked

    await page.clock.fast_forward(60_000)
    await page.evaluate("Promise.resolve()")

    assert stage.asked <= before + 1
