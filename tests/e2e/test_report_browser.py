"""The report in a real Chromium: two widths, light, dark and print; a quiet console; nothing loaded."""

from pathlib import Path

import pytest

from tests.standins.browser import Tab, browser
from tests.standins.incident import full_incident
from tools.incidents.record import Incident
from tools.incidents.report import render, report
from tools.incidents.report_words import IMPACT, figure

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
]

CONTRAST = """
(() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b]
    .map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, n) => sum + v * [.2126, .7152, .0722][n], 0);
  const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
    if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  let worst = 99;
  const texts = 'h1, h2, h3, p, a, th, td, li, blockquote, pre, summary, caption, svg text';
  for (const e of document.querySelectorAll(texts)) {
    if (!e.textContent.trim() || !e.getClientRects().length) continue;
    const style = getComputedStyle(e);
    const a = light(parse(e instanceof SVGElement ? style.fill : style.color)), b = light(behind(e));
    worst = Math.min(worst, (Math.max(a, b) + .05) / (Math.min(a, b) + .05));
  }
  return worst;
})()
"""
"""The worst contrast of any text to what is behind it, as WCAG counts it."""


@pytest.fixture
def incident(tmp_path: Path) -> Incident:
    return full_incident(tmp_path / "operator.db")


@pytest.fixture
def page(tmp_path: Path, incident: Incident) -> Path:
    path = tmp_path / "report.html"
    path.write_text(render(incident, "html"), encoding="utf-8")
    return path


async def test_the_report_in_chromium(page: Path, incident: Incident, tmp_path: Path) -> None:
    pictures: dict[str, bytes] = {}
    async with browser(tmp_path / "profile") as tab:
        await tab.open(page)
        for scheme in ("light", "dark"):
            for width in (1280, 400):
                await tab.look(scheme, width)
                name = f"{scheme}-{width}"
                pictures[name] = await tab.picture(tmp_path / f"{name}.png")
                wide = await tab.value("document.documentElement.scrollWidth")
                assert wide <= width, f"{name}: the page itself scrolls sideways"
                assert await tab.value(CONTRAST) >= 4.5, name
        await _keyboard(tab)
        await _print(tab)
        await _figures(tab, incident)

        assert tab.complaints == []
        assert tab.asked_for == [page.as_uri()]
    assert len(set(pictures.values())) == 4, "light and dark, wide and narrow are drawn differently"
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())


async def test_the_same_ears_hear_a_page_that_is_not_right(tmp_path: Path) -> None:
    """Else the test above could pass because it is deaf."""
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<!doctype html><link rel=stylesheet href='missing.css'><p style='color:#999'>pale</p>"
        "<script>console.error('trouble'); undefined_function()</script>"
    )
    async with browser(tmp_path / "profile") as tab:
        await tab.open(bad)
        await tab.look("light", 400)

        assert await tab.value(CONTRAST) < 4.5
        assert {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Network.loadingFailed"} <= {
            event["method"] for event in tab.complaints
        }
        assert len(tab.asked_for) == 2


async def _keyboard(tab: Tab) -> None:
    """The first thing that Tab reaches is the way past the navigation, and it is seen then."""
    await tab.look("light", 1280)
    for kind in ("rawKeyDown", "keyUp"):
        await tab.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    assert await tab.value("document.activeElement.getAttribute('href')") == "#main"
    assert await tab.value("document.activeElement.getBoundingClientRect().left") >= 0


async def _print(tab: Tab) -> None:
    """In print, even from a dark screen, it is black on white, and the raw evidence is there."""
    await tab.look("dark", 800, media="print")

    assert await tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert await tab.value("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert await tab.value("document.querySelectorAll('#evidence-E4 pre').length") == 1
    assert (await tab.call("Page.printToPDF"))["data"]


async def _figures(tab: Tab, incident: Incident) -> None:
    """What a reader sees are the JSON's figures."""
    await tab.look("light", 1280)
    rows = await tab.value(
        "[...document.querySelectorAll('section[aria-labelledby=impact] tbody tr')]"
        ".map(row => [row.cells[0].innerText, row.cells[1].innerText])"
    )
    made = report(incident)["impact"]

    shown = [row for row in IMPACT if made[row[0]] is not None and row != IMPACT[-1]]  # it never came back
    assert incident.reopened == 0
    assert rows == [[title, figure(made[name], unit)] for name, title, unit in shown]
    seen = (
        "[...document.querySelectorAll('figure svg')].filter(svg => svg.getBoundingClientRect().width).length"
    )
    assert await tab.value(seen) == 3
