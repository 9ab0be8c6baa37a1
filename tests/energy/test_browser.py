"""The page of a report in a real browser: Debian's chromium, without a screen, driven by Playwright."""

import shutil

import pytest
import torch
from oracles.page_reports import page_reports
from torch import nn

from spikesim.energy import energy_report, format_energy
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network


def figures(joules):
    """How an energy may be written: the last bit of a sum decides ties, and sums differ in it."""
    return {format_energy(joules * (1 + off)) for off in (-1e-12, 0, 1e-12)}


EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'


@pytest.fixture(scope="module")
def browser():
    reason = "Playwright is not installed; pip install 'spikesim[browser]'"
    sync = pytest.importorskip("playwright.sync_api", reason=reason)
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("there is no chromium here; apt-get install chromium")
    with sync.sync_playwright() as playwright:
        # Root may not use the sandbox, and small machines have a small /dev/shm.
        opened = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield opened
        opened.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Open a report; fails on script errors, dialogs, and on whatever else the page asks for."""
    contexts, faults = [], []

    def opened(report, accuracies=None, **options):
        path = tmp_path / "report.html"
        path.write_text(report.to_html(accuracies))
        context = browser.new_context(viewport={"width": 1280, "height": 800}, offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(f"script: {error}"))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("dialog", lambda dialog: (faults.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda asked: faults.append(asked.url) if asked.url != path.as_uri() else None)
        page.goto(path.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not faults


@pytest.mark.parametrize("name", page_reports())
def test_choosing_a_profile_gives_the_totals_of_the_json(name, visit):
    report = page_reports()[name]()
    page = visit(report)
    joules = {one["profile"]: one["energy"] for one in report.to_dict()["profiles"]["priced"] if not one["refused"]}
    assert page.locator("#profile option").all_inner_texts() == list(joules)
    assert page.inner_text("#headline") == format_energy(report.to_dict()["energy"]["network"])
    seen = set()
    for profile, expected in joules.items():
        page.select_option("#profile", profile)
        shown = page.inner_text("#headline")
        assert shown == page.inner_text("#total") and shown in figures(expected)
        columns = page.locator("#layers thead th").all_inner_texts()
        assert page.locator("#layers tfoot td").all_inner_texts()[columns.index("energy")] == shown
        computed = page.evaluate("data.profiles.map((p) => [p.name, underAll.get(p).energies.network])")
        assert dict(computed)[profile] == pytest.approx(expected, rel=1e-9)
        assert page.locator("#wrong").is_hidden()
        seen.add(shown)
    assert len(seen) > 1


def test_layers_cost_what_the_json_says_they_do(visit):
    report = page_reports()["converted"]()
    page = visit(report)
    columns = page.locator("#layers thead th").all_inner_texts()
    shown = {}
    for row in page.locator("#layers tbody tr").all():
        cells = row.locator("td").all_inner_texts()
        shown[cells[0].replace(".", "_")] = cells
    assert set(shown) >= {row.layer for row in report.rows}
    for row in report.rows:
        cells = shown[row.layer]
        assert cells[columns.index("energy")] in figures(row.network)
        for title, baseline in (("dense ANN", "dense_ann"), ("zero-skipping ANN", "zero_skipping_ann")):
            told, joules = cells[columns.index(title)], getattr(row, baseline)
            assert told.removesuffix(" ▲") in (figures(joules) if joules else {"–"})
            assert told.endswith("▲") == (baseline in row.loses_to)


def test_the_first_screen_answers_a_newcomer(visit):
    report = page_reports()["converted"]()
    page = visit(report)
    box = page.locator("#answers").bounding_box()
    assert box["y"] + box["height"] < 800
    answers = page.locator("#answers article").all_inner_texts()
    assert format_energy(report.energy) in answers[0] and "T = 6" in answers[0] and "noise" in answers[0]
    spread = report.uncertainty.counts["network"]
    assert f"{format_energy(spread.low)} to {format_energy(spread.high)} (95 % over inputs)" in answers[1]
    for joules in (report.dense_ann, report.zero_skipping_ann, report.capacity_matched):
        assert format_energy(joules) in answers[2]
    largest = max(report.rows, key=lambda row: row.network)
    assert f"layer {largest.layer}" in answers[3] and f"{100 * largest.network / report.energy:.1f} %" in answers[3]


def test_the_table_is_sorted_with_the_keyboard(visit):
    report = page_reports()["converted"]()
    page = visit(report)
    energies = sorted((row.network for row in report.rows), reverse=True)
    place = page.locator("#layers thead th").all_inner_texts().index("energy")
    button = page.locator("#layers thead button").nth(place)
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("#layers thead th").nth(place).get_attribute("aria-sort") == "descending"
    cells = page.locator(f"#layers tbody td:nth-child({place + 1})").all_inner_texts()
    assert all(cell in figures(joules) for cell, joules in zip(cells, energies, strict=True))
    page.keyboard.press("Space")
    assert page.locator("#layers thead th").nth(place).get_attribute("aria-sort") == "ascending"
    assert page.locator(f"#layers tbody td:nth-child({place + 1})").all_inner_texts() == cells[::-1]
    page.select_option("#profile", "horowitz45-int8")  # the order stays that of the column
    assert page.locator("#layers thead th").nth(place).get_attribute("aria-sort") == "ascending"


def test_charts_explain_themselves_to_pointer_and_keyboard(visit):
    report = page_reports()["converted"]()
    page = visit(report, accuracies=[0.1, 0.2, 0.4, 0.6, 0.7, 0.75])
    tip, bar = page.locator("#tip"), page.locator("#bars rect").first
    assert tip.is_hidden()
    bar.hover()
    assert "network: " in tip.inner_text() and tip.is_visible()
    page.mouse.move(0, 0)
    assert tip.is_hidden()
    last = page.locator("#curves svg").nth(1).locator("circle").last
    last.focus()
    assert "after 6 steps" in tip.inner_text() and "75.0 %" in tip.inner_text()
    assert format_energy(report.energy) in tip.inner_text()


def test_names_stay_text(visit):
    net = Network(nn.Sequential(nn.Linear(4, 3), IF(0.2)), encoder=Constant(3), readout=Mean())
    page = visit(energy_report(net, torch.rand(2, 4), input="analog", source=EVIL))
    assert EVIL in page.inner_text("#total-note") and page.locator("img").count() == 0


def _contrast(one, other):
    def light(colour):
        parts = [float(c) / 255 for c in colour.removeprefix("rgb(").rstrip(")").split(",")]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lights = sorted((light(one), light(other)))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read_in_light_and_dark(scheme, visit):
    page = visit(page_reports()["converted"](), color_scheme=scheme)

    def colour(where, name):
        return page.locator(where).first.evaluate("(e, name) => getComputedStyle(e)[name]", name)

    paper, panel = colour("body", "backgroundColor"), colour("#answers article", "backgroundColor")
    assert (_contrast(paper, "rgb(255, 255, 255)") < 1.1) == (scheme == "light")
    for where in ("#verdict", "#profile-title", "td.loses", "#layers tbody td"):
        assert _contrast(colour(where, "color"), paper) >= 4.5, where
    for where in ("#total", "#answers h2", "#against li.loses"):
        assert _contrast(colour(where, "color"), panel) >= 4.5, where
    for series in range(4):
        assert _contrast(colour(f"#bars rect.s{series}", "fill"), paper) >= 3, series


@pytest.mark.parametrize("profile", ["horowitz45-fp32", "yan22", "spikesim65"])
def test_reports_in_which_little_happens(profile, visit):
    """A baseline that costs nothing, a profile that prices no ANN, layers that it does not model, one input."""
    net = Network(nn.Sequential(IF()), encoder=Constant(1), readout=Mean())
    report = energy_report(net, torch.zeros(1, 3), input="analog", ann=nn.Identity(), profile=profile)
    page = visit(report)
    assert page.inner_text("#headline") in figures(report.energy)
    assert "one input" in page.inner_text("#sure") and page.locator("#over-time").is_hidden()
    assert "NaN" not in page.inner_text("body") and "undefined" not in page.inner_text("body")
    assert "Infinity" not in page.inner_text("body")
