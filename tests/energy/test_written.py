"""Tables for papers, web pages and spreadsheets, and the sentence and the digest that go with them."""

import csv
import io
import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from oracles.near import near
from oracles.page_reports import page_reports
from torch import nn

from spikesim.energy import COLUMNS, energy_report, price
from spikesim.energy.digest import document_digest
from spikesim.energy.formats import text_of
from spikesim.energy.units import one_unit
from spikesim.energy.written import latex_text, markdown_text
from spikesim.errors import ConfigError, LedgerError
from spikesim.neurons import IF
from spikesim.nn import Constant, Mean, Network

UNITS = {"J": 1, "mJ": 1e-3, "µJ": 1e-6, r"$\mu$J": 1e-6, "nJ": 1e-9, "pJ": 1e-12, "fJ": 1e-15}


def odd_report():
    torch.manual_seed(0)
    layers = nn.Sequential()
    layers.add_module("a_b&50%|#$", nn.Linear(6, 10))
    layers.add_module("~^\\{x}<i>`*[1]\n", IF(0.2))
    layers.add_module("=cmd", nn.Linear(10, 3))
    return energy_report(Network(layers, encoder=Constant(4), readout=Mean()), torch.rand(5, 6), input="analog")


@pytest.mark.parametrize("ending", [".tex", ".md"])
@pytest.mark.parametrize("name", page_reports())
def test_the_energies_of_a_table_add_up_to_the_report(name, ending):
    report = page_reports()[name]()
    text = text_of(report, f"report{ending}")
    cut = " & " if ending == ".tex" else " | "
    head = next(line for line in text.splitlines() if "energy (" in line).strip("| \\").split(cut)
    place = next(i for i, title in enumerate(head) if title.startswith("energy ("))
    unit = UNITS[re.search(r"energy \((.*)\)", head[place])[1]]
    rows = [line.strip("|\\ ").split(cut) for line in text.splitlines() if line.count(cut.strip()) >= len(head) - 1]
    energies = {row[0]: float(row[place]) * unit for row in rows if re.fullmatch(r"[\d.e+-]+", row[place])}
    total = energies.pop("total")
    assert total == near(report.energy, rel=1e-3) and sum(energies.values()) == near(total, rel=1e-2)
    assert len(set(map(len, rows[: len(energies) + 2]))) == 1


def test_latex_is_escaped_and_balanced():
    text = text_of(odd_report(), "x.tex")
    assert r"a\_b\&50\%\textbar{}\#\$" in text and r"\textasciitilde{}\textasciicircum{}\textbackslash{}\{x\}" in text
    tables = text[: text.rindex("\n%")]
    assert tables.count(r"\begin{tabular}") == tables.count(r"\end{tabular}") == 2
    for rule in ("toprule", "bottomrule"):
        assert tables.count(rf"\{rule}") == 2
    bare = re.sub(r"\\[&%$#_{}\\]", "", tables)
    assert not re.search(r"(?<!\\)[#_^~]", re.sub(r"\$\\mu\$", "", bare))
    columns = len(re.search(r"@\{\}([lr]+)@", tables)[1])
    for line in tables.split(r"\end{tabular}")[0].splitlines():
        if line.endswith(r"\\"):
            assert len(re.findall(r"(?<!\\)&", line)) == columns - 1


def test_markdown_is_escaped():
    text = text_of(odd_report(), "x.md")
    assert r"a\_b\&50%\|\#$" in text and r"\<i\>\`\*\[1\]" in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {10, 7}


def test_csv_holds_every_count_and_runs_no_formula():
    report = odd_report()
    rows = list(csv.DictReader(io.StringIO(text_of(report, "x.csv"))))
    assert sum(float(row["network_J"]) for row in rows) == near(report.energy)
    assert sum(float(row["dense_ann_J"]) for row in rows) == near(report.dense_ann)
    for column in COLUMNS:
        assert sum(float(row[column]) for row in rows) == near(report.ledger.total()[column] / report.ledger.samples)
    assert [row["layer"] for row in rows][2] == "'=cmd"


def test_bars_are_the_rows():
    report = page_reports()["converted"]()
    groups = [[bar.get_height() for bar in group] for group in report.bars().axes[0].containers]
    for group, column in zip(groups, ("network", "dense_ann", "zero_skipping_ann", "capacity_matched"), strict=True):
        assert group == near([1e9 * getattr(row, column) for row in report.rows])
    assert len(page_reports()["plain"]().bars().axes[0].containers) == 1


@pytest.mark.parametrize("text", ["plain", "a\nb", "\x00\x1b[31m", "µJ"])
def test_text_stays_on_one_line(text):
    for escaped in (latex_text(text), markdown_text(text)):
        assert escaped.isprintable() and "\n" not in escaped


@pytest.mark.parametrize(
    "joules,unit", [(0.0, "J"), (999.96e-12, "nJ"), (2e-19, "fJ"), (3.0, "J"), (float("inf"), "J")]
)
def test_the_unit_of_a_column(joules, unit):
    assert one_unit(joules)[1] == unit


@pytest.mark.parametrize("path", ["report", "report.pdf", "dir.html/report"])
def test_another_ending_is_refused(path):
    with pytest.raises(ConfigError, match=r"names no format.*\.json, \.html, \.csv, \.tex, \.md"):
        odd_report().save(path)


def test_the_digest_follows_from_what_was_saved(tmp_path):
    report = odd_report()
    content = json.loads(report.save(tmp_path / "r.json").read_text())
    assert content["digest"] == report.digest == document_digest(content) and len(report.digest) == 64
    assert odd_report().digest == report.digest
    content["ledger"]["layers"][0]["counts"]["mac_dense"][0] += 1
    assert document_digest(content) != report.digest
    for changed in (replace(report, seed=1), replace(report, source="elsewhere"), replace(report, ann_name="other")):
        assert changed.digest != report.digest


def test_the_sentence_says_what_it_rests_on():
    report = page_reports()["converted"]()
    said = report.sentence
    for part in ("4 inputs (noise)", "6 time steps", report.digest[:16], report.profile.digest[:16], "ISSCC 2014"):
        assert part in said
    assert "weight traffic" in said and "at 95 % over inputs" in said and said.endswith(").")
    assert f"{report.ratio('capacity_matched'):.3g} times the capacity-matched" in said
    assert "lower bounds" in page_reports()["plain"]().sentence
    assert report.to_dict()["sentence"] == said


@pytest.mark.parametrize("name", ["converted", "events", "static"])
def test_energy_over_time_ends_at_the_total(name):
    report = page_reports()[name]()
    steps = report.over_time()
    assert len(steps) == report.ledger.timesteps and steps[-1] == near(report.energy)
    assert all(a < b for a, b in pairwise(steps))


def test_the_first_steps_cost_what_a_shorter_run_costs():
    layers = nn.Sequential(nn.Conv2d(2, 4, 3), IF(0.2), nn.Flatten(), nn.Linear(64, 5))
    x = torch.rand(3, 2, 6, 6)

    def run(steps):
        return energy_report(Network(layers, encoder=Constant(steps)), x, input="analog")

    whole, short = run(5), run(3)
    assert whole.over_time()[2] == near(short.energy)
    assert whole.ledger.until(3).to_dict()["layers"] == short.ledger.to_dict()["layers"]
    assert price(whole.ledger.until(5), whole.profile).total == near(whole.energy)
    for step in (0, 6):
        with pytest.raises(LedgerError, match="1 to 5"):
            whole.ledger.until(step)
