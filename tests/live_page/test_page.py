"""The live view in a real browser: what it shows is what the server has, and it only ever shows text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip(
    "playwright.sync_api", reason="the page is tested in a browser: playwright is not installed"
)
pytest.importorskip("uvicorn", reason="the extra `live` is not installed")

from playwright.sync_api import expect

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import BrowserContext, Page

HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
VIEWS = ["overview", "calls", "traces", "usage", "compare"]


def figure(page: Page, label: str) -> Any:
    return page.locator(".tile", has=page.locator("dt", has_text=re.compile(f"^{label}$")))


def test_numbers_move(fresh: Any, context: BrowserContext) -> None:
    fresh.traffic.send([fresh.traffic.trace(_now(), outcome="completed") for _ in range(3)])
    page = context.new_page()
    page.goto(fresh.url)
    expect(figure(page, "Requests").locator(".below")).to_have_text(re.compile(r"^3 in "))
    expect(figure(page, "Errors").locator(".value")).to_have_text("0")

    fresh.traffic.send([fresh.traffic.trace(_now(), outcome=outcome) for outcome in ("completed", "failed")])

    expect(figure(page, "Requests").locator(".below")).to_have_text(re.compile(r"^5 in "))
    expect(figure(page, "Errors").locator(".figure")).to_have_text("20%")
    expect(page.locator(".failures li")).to_have_count(1)
    expect(page.locator(".chart canvas")).to_have_count(6)


def test_a_pause_holds_everything_still(fresh: Any, context: BrowserContext) -> None:
    fresh.traffic.send([fresh.traffic.trace(_now())])
    page = context.new_page()
    page.goto(fresh.url)
    below = figure(page, "Requests").locator(".below")
    expect(below).to_have_text(re.compile(r"^1 in "))
    page.get_by_role("button", name="Pause").click()
    still = below.text_content() or ""
    fresh.traffic.send([fresh.traffic.trace(_now())])
    page.wait_for_timeout(2500)
    expect(below).to_have_text(still)
    page.get_by_role("button", name="Go on").click()
    expect(below).to_have_text(re.compile(r"^2 in "))


def test_a_running_stream_shows_its_progress(fresh: Any, context: BrowserContext, running: Any) -> None:
    running.begin(fresh.model("gpt-5.2"))
    page = context.new_page()
    page.goto(fresh.url)
    state = page.locator(".running .run-state")
    expect(state).to_have_text("waiting for the first byte")
    expect(figure(page, "Active streams").locator(".value")).to_have_text("1")
    page.wait_for_timeout(500)
    running.go_on()
    expect(state).to_have_text(re.compile(r"^\d+ chunks, [\d.]+/s$"))
    before = state.text_content()
    page.wait_for_timeout(1000)
    running.go_on()
    expect(state).not_to_have_text(before or "")


def test_a_filter_of_the_overview_narrows_every_figure(fresh: Any, context: BrowserContext) -> None:
    first, second = fresh.model("gpt-5.2"), fresh.model("claude-haiku-5")
    fresh.traffic.send(
        [fresh.traffic.trace(_now(), model=model, outcome="completed") for model in (first, first, second)]
    )
    page = context.new_page()
    page.goto(fresh.url)
    expect(figure(page, "Requests").locator(".below")).to_have_text(re.compile(r"^3 in "))
    page.get_by_label("Model", exact=True).select_option("claude-haiku-5")
    expect(figure(page, "Requests").locator(".below")).to_have_text(re.compile(r"^1 in "))
    expect(page.locator(".panel .mini tbody tr")).to_have_count(1)
    assert page.url.endswith("#/overview?model=claude-haiku-5")
    page.get_by_label("Model", exact=True).select_option("")
    expect(figure(page, "Requests").locator(".below")).to_have_text(re.compile(r"^3 in "))


def test_filters_and_search_narrow_the_calls(live: Any, open_page: Callable[[str], Page]) -> None:
    page = open_page("calls")
    matched = page.locator(".matched")
    expect(matched).to_have_text(f"{live.api('calls')['matched']:,} calls")

    page.get_by_label("Model", exact=True).select_option("gpt-5.2-mini")
    expect(matched).to_have_text(f"{live.api('calls?model=gpt-5.2-mini')['matched']:,} calls")
    assert set(page.locator(".c-what .model b").all_text_contents()) == {"gpt-5.2-mini"}

    page.keyboard.press("/")
    page.keyboard.type("weather paris")
    wanted = live.api("calls?model=gpt-5.2-mini&q=weather+paris")
    expect(matched).to_have_text(f"{wanted['matched']:,} calls")
    expect(page.locator(".calls tbody tr")).to_have_count(min(100, wanted["matched"]))

    page.get_by_role("button", name="Clear", exact=True).click()
    page.get_by_label("Outcome", exact=True).select_option("failed")
    errors = [call["error"] for call in live.api("calls?outcome=failed")["calls"]]
    expect(page.locator("td.c-state")).to_have_text(errors)

    page.locator(".field input").fill("nothing has this word")
    expect(page.get_by_role("heading", name="No call matches")).to_be_visible()


def test_new_calls_come_on_top_and_older_ones_on_demand(fresh: Any, context: BrowserContext) -> None:
    fresh.traffic.send([fresh.traffic.trace(_now()) for _ in range(120)])
    page = context.new_page()
    page.goto(f"{fresh.url}#/calls")
    rows = page.locator(".calls tbody tr")
    expect(rows).to_have_count(100)
    page.get_by_role("button", name="Older calls").click()
    expect(rows).to_have_count(120)
    page.evaluate("scrollTo(0, 0)")
    fresh.traffic.send(
        [fresh.traffic.trace(_now(), ask="The newest of all.", captured=True, model=fresh.model("gpt-5.2"))]
    )
    expect(rows).to_have_count(121)
    expect(rows.first).to_contain_text("The newest of all.")
    # Whoever reads further down is not moved.
    page.evaluate("scrollTo(0, 900)")
    fresh.traffic.send([fresh.traffic.trace(_now())])
    page.get_by_role("button", name="1 new").click()
    expect(rows).to_have_count(122)


def test_a_call_opens_with_its_conversation_timing_and_details(fresh: Any, context: BrowserContext) -> None:
    service, spans = fresh.traffic.trace(
        _now(),
        model=fresh.model("claude-opus-5"),
        outcome="completed",
        attempts=2,
        stream=True,
        captured=True,
        ask="What is the weather?",
    )
    fresh.traffic.send([(service, spans)])
    page = context.new_page()
    page.goto(f"{fresh.url}#/calls")
    page.locator(".calls tbody tr").click()
    panel = page.get_by_role("complementary", name="Call")
    call = fresh.api(f"calls/{spans[1].trace_id}-{spans[1].span_id}")

    expect(panel.locator("h2")).to_have_text("claude-opus-5")
    expect(panel.locator(".fact", has_text="Attempts").locator("dd")).to_have_text("2")
    expect(panel.locator(".fact", has_text="Input").locator("dd")).to_contain_text(
        f"{call['input_tokens']:,}"
    )
    expect(panel.locator(".phase-list span")).to_have_text(
        [
            "Attempt 1 failedstatus 429, rate_limit_exceeded",
            "Waiting to retry",
            "Until the first token",
            "Streaming",
        ]
    )
    expect(panel.locator(".message h3")).to_have_text(["system", "user", "assistant", "tool", "assistant"])
    expect(panel.locator(".message.user .prose")).to_have_text("What is the weather?")
    expect(panel.locator(".media b")).to_have_text(["image", "image"])
    expect(panel.locator(".tool summary b").first).to_have_text("get_weather")
    expect(panel.locator(".answer .prose .code").last).to_have_text(
        'if forecast.rain > 0.5:\n    pack("umbrella")'
    )

    panel.get_by_role("tab", name="Details").click()
    expect(panel.get_by_role("meter", name="Tokens left")).to_have_attribute("aria-valuemax", "30000")
    expect(panel.locator(".pairs div", has_text="max_tokens").locator("dd span")).to_have_text("1024")
    panel.get_by_role("tab", name="Record").click()
    assert json.loads(panel.locator(".record pre").text_content() or "") == call

    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()


def test_what_is_no_longer_kept_is_said_to_be_gone(open_page: Callable[[str], Page], seen: Any) -> None:
    page = open_page(f"calls/{'0' * 32}-{'1' * 16}")
    expect(page.get_by_role("heading", name="This call is not kept")).to_be_visible()
    page = open_page(f"traces/{'0' * 32}")
    expect(page.get_by_role("heading", name="This trace is not kept")).to_be_visible()
    assert all("404" in error for error in seen.errors)
    seen.errors.clear()


def test_a_call_without_captured_content_says_how_to_capture(fresh: Any, context: BrowserContext) -> None:
    fresh.traffic.send(
        [fresh.traffic.trace(_now(), captured=False, outcome="failed", model=fresh.model("gpt-5.2"))]
    )
    page = context.new_page()
    page.goto(f"{fresh.url}#/calls/{fresh.api('calls')['calls'][0]['id']}")
    expect(page.locator(".call-panel .setting")).to_have_text(
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=span_only"
    )
    expect(page.locator(".call-panel .failure h3")).to_have_text(fresh.api("calls")["calls"][0]["error"])


def test_a_trace_opens_as_a_waterfall(live: Any, open_page: Callable[[str], Page]) -> None:
    page = open_page("traces")
    page.locator(".traces tbody tr").nth(3).click()
    page.locator(".wf-row").first.wait_for()
    trace_id = page.url.rsplit("/", 1)[1]
    trace = live.api(f"traces/{trace_id}")
    rows = page.get_by_role("treeitem")
    expect(rows.locator(".wf-label")).to_have_text([span["name"] for span in trace["spans"]])
    expect(rows.locator(".tag.llm")).to_have_count(
        sum(span["call_id"] is not None for span in trace["spans"])
    )
    boxes = [(row.bounding_box() or {}) for row in rows.locator(".bar").all()]
    lefts = [box["x"] for box in boxes]
    total = boxes[0]["width"]
    for span, left in zip(trace["spans"], lefts, strict=True):
        assert left - lefts[0] == pytest.approx(span["offset_ms"] / trace["duration_ms"] * total, abs=2)

    page.keyboard.press("n")
    llm = next(span for span in trace["spans"] if span["call_id"])
    expect(page.locator(".span-panel h2")).to_have_text(llm["name"])
    page.get_by_role("link", name="Open the call").click()
    expect(page.locator(".call-panel .panel-title h2")).to_have_text(llm["name"].split(" ", 1)[1])


def test_the_waterfall_is_worked_by_keys(live: Any, open_page: Callable[[str], Page]) -> None:
    trace = live.api("traces")["traces"][0]
    page = open_page(f"traces/{trace['trace_id']}")
    tree = page.get_by_role("tree")
    tree.focus()
    names = page.locator(".wf-label")
    expect(names).to_have_count(trace["spans"])
    selected = page.locator("[aria-selected=true]")
    page.keyboard.press("ArrowDown")
    expect(selected.locator(".wf-label")).to_have_text(trace["name"])
    page.keyboard.press("ArrowLeft")
    expect(names).to_have_count(1)
    expect(selected).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("End")
    expect(names).to_have_count(trace["spans"])
    expect(selected.locator(".wf-label")).to_have_text(names.last.text_content() or "")
    assert tree.get_attribute("aria-activedescendant") == selected.get_attribute("id")


def test_a_trace_of_thousands_of_spans_draws_what_is_visible(fresh: Any, context: BrowserContext) -> None:
    service, spans = fresh.traffic.trace(_now())
    many = [fresh.child(spans[0], f"step {at}", at / 1000) for at in range(4000)]
    fresh.traffic.send([(service, [*spans, *many])])
    page = context.new_page()
    page.goto(f"{fresh.url}#/traces/{spans[0].trace_id}")
    page.locator(".wf-row").first.wait_for()
    assert page.get_by_role("treeitem").count() < 80
    page.get_by_role("tree").focus()
    page.keyboard.press("End")
    expect(page.locator("[aria-selected=true] .wf-label")).to_be_in_viewport()
    assert page.get_by_role("treeitem").count() < 80


def test_usage_has_the_numbers_of_the_server(live: Any, open_page: Callable[[str], Page]) -> None:
    page = open_page("usage")
    rows = live.api("usage?days=30")["rows"]
    calls = page.locator(".usage-totals .fact", has_text="Calls").locator("dd")
    expect(calls).to_have_text(f"{sum(row['calls'] for row in rows):,}")
    page.get_by_role("button", name="Provider").click()
    expect(page.locator("tbody tr")).to_have_count(len({row["provider"] for row in rows}))
    page.get_by_role("button", name="Day", exact=True).click()
    dates = sorted({row["date"] for row in rows}, reverse=True)
    expect(page.locator("tbody td:first-child")).to_have_text(dates)
    page.get_by_role("columnheader", name="Date").get_by_role("button").click()
    expect(page.locator("tbody td:first-child")).to_have_text(dates[::-1])
    expect(page.get_by_role("columnheader", name="Date")).to_have_attribute("aria-sort", "ascending")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as CSV").click()
    text = download.value.path().read_text()
    assert len(text.splitlines()) == len(rows) + 1


def test_models_stand_side_by_side(live: Any, open_page: Callable[[str], Page]) -> None:
    page = open_page("compare")
    rows = live.api("compare?by=model")["rows"]
    expect(page.locator(".compare thead th b")).to_have_text([row["model"] for row in rows[:4]])
    calls = page.locator(".compare tr", has=page.locator("th", has_text=re.compile("^Calls$"))).locator(
        ".cell-value"
    )
    expect(calls).to_have_text([str(row["calls"]) for row in rows[:4]])
    page.locator(".pick").nth(4).click()
    page.locator(".pick").nth(0).click()
    expect(page.locator(".compare thead th b")).to_have_text([row["model"] for row in rows[1:5]])
    page.get_by_role("button", name="Providers").click()
    expect(page.locator(".compare thead th b")).to_have_text(
        [row["provider"] for row in live.api("compare?by=provider")["rows"][:4]]
    )


def test_everything_can_be_done_from_the_keyboard(open_page: Callable[[str], Page]) -> None:
    page = open_page("overview")
    page.locator(".tile").first.wait_for()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    for key, view in {"c": "calls", "t": "traces", "u": "usage", "m": "compare", "o": "overview"}.items():
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page.locator("#nav [aria-current]")).to_have_attribute("data-view", view)
    page.keyboard.press("g")
    page.keyboard.press("c")
    rows = page.locator(".calls tbody tr")
    expect(rows).to_have_count(100)
    page.keyboard.press("p")  # so that no new row comes between
    expect(page.locator(".connection")).to_have_text("Paused")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(rows.nth(1).locator("a")).to_be_focused()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name="Call")
    expect(panel.locator(".panel-title h2")).to_have_text(
        rows.nth(1).locator(".model b").text_content() or ""
    )
    page.keyboard.press("j")
    expect(rows.nth(2)).to_have_attribute("aria-current", "true")
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(rows.nth(2).locator("a")).to_be_focused()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.get_by_label("Single-key shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.locator("#nav [aria-current]")).to_have_attribute("data-view", "calls")


@pytest.mark.parametrize("view", VIEWS)
def test_hostile_text_stays_text(live: Any, open_page: Callable[[str], Page], view: str) -> None:
    page = open_page(view)
    page.wait_for_timeout(1200)
    if view == "calls":
        call = next(
            call
            for call in live.api("calls?limit=1000")["calls"]
            if call["model"] == HOSTILE and call["has_content"] and call["outcome"] == "completed"
        )
        page.goto(f"{live.url}#/calls/{call['id']}")
        expect(page.locator(".call-panel .panel-title h2")).to_have_text(HOSTILE)
        expect(page.locator(".call-panel .answer .prose").last).to_contain_text(HOSTILE)
    if view == "traces":
        page.goto(f"{live.url}#/traces/{live.api('traces')['traces'][0]['trace_id']}")
        page.locator(".wf-row", has_text="POST").last.click()
        expect(page.locator(".span-panel dd", has_text="<img")).to_have_text(HOSTILE)
    if view == "overview":
        expect(page.get_by_label("Model", exact=True).locator("option", has_text="<img")).to_have_text(
            HOSTILE
        )
    assert page.locator("img, main script, [onerror]").count() == 0
    assert page.title().endswith("otel-llm live")


def test_the_browser_itself_refuses_html_from_text(open_page: Callable[[str], Page], seen: Any) -> None:
    page = open_page("overview")
    refused = page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>'; } catch (error) { return error.name; } }"
    )
    assert refused == "TypeError"
    blocked = page.evaluate(
        "() => { const b = document.createElement('b'); b.setAttribute('style', 'color: red'); return b.style.color; }"
    )
    assert blocked == ""
    assert len(seen.errors) == 2
    seen.errors.clear()


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_is_wider_than_the_screen(open_page: Callable[[str], Page], view: str) -> None:
    page = open_page(view)
    page.locator("main > :not([hidden])").first.wait_for()
    page.wait_for_timeout(500)
    for width in (1280, 768, 390, 320):
        page.set_viewport_size({"width": width, "height": 844})
        page.wait_for_timeout(100)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_dark_and_light(open_page: Callable[[str], Page]) -> None:
    page = open_page("overview")

    def background() -> str:
        return page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    dark = background()
    page.emulate_media(color_scheme="light")
    light = background()
    assert dark != light
    page.keyboard.press("d")
    page.keyboard.press("d")
    assert background() == dark
    page.reload()
    expect(page.get_by_role("button", name="Theme: dark. Change")).to_be_visible()
    assert background() == dark


def _now() -> float:
    import time

    return time.time()
