r"""A report as tables for papers, web pages and spreadsheets: LaTeX, Markdown, CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from spikesim.energy.caveats import caveats
from spikesim.energy.columns import COLUMNS
from spikesim.energy.lines import COUNTED, layer_lines
from spikesim.energy.sentence import sentence
from spikesim.energy.table import BASELINE_NAMES
from spikesim.energy.units import format_count, one_unit

if TYPE_CHECKING:
    from spikesim.energy.report import EnergyReport

_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "µ": r"$\mu$",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~&])")


def latex_text(text: str) -> str:
    r"""Escape text for LaTeX; line breaks and other control characters become spaces.

    Example:
        >>> from spikesim.energy.written import latex_text
        >>> print(latex_text("conv_1 & 50 % {x}"))
        conv\_1 \& 50 \% \{x\}
    """
    return "".join(_LATEX.get(character, character) for character in _one_line(text))


def markdown_text(text: str) -> str:
    r"""Escape text for a cell of a Markdown table.

    Example:
        >>> from spikesim.energy.written import markdown_text
        >>> print(markdown_text("conv_1|<b>"))
        conv\_1\|\<b\>
    """
    return _MARKDOWN.sub(r"\\\1", _one_line(text))


def latex(report: EnergyReport) -> str:
    r"""Two tables that need ``\usepackage{booktabs}``: energy per layer, and the network beside its baselines.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.written import latex
        >>> print(latex(energy_report(torch.nn.Linear(10, 5), torch.ones(2, 10), input="analog")).splitlines()[5])
        (root) & analog & -- & -- & 50 & -- & -- & 234.5 & 100.0 \\
    """
    head, rows = _layers(report, latex_text, empty="--", share=r"share (\%)")
    parts = ["% needs \\usepackage{booktabs}", *_tabular(head, rows, left=2, total=True)]
    if _has_baselines(report):
        head, rows = _baselines(report, latex_text)
        parts += ["", *_tabular(head, rows, left=1, total=False)]
        said = latex_text("; ".join(caveats(report)))
        # What readers of the table must know is set below it: a comment would never be printed.
        parts += [rf"\par{{\footnotesize Note: {said}.\par}}"] if said else []
    return "\n".join([*parts, "", f"% {_one_line(sentence(report))}", ""])


def markdown(report: EnergyReport) -> str:
    r"""The same as Markdown, with the verdict and the sentence for a paper.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.written import markdown
        >>> print(markdown(energy_report(torch.nn.Linear(10, 5), torch.ones(2, 10), input="analog")).splitlines()[4])
        | (root) | analog | – | – | 50 | – | – | 234.5 | 100.0 |
    """
    head, rows = _layers(report, markdown_text, empty="–", share="share (%)")
    parts = [markdown_text(report.verdict), "", *_pipes(head, rows, left=2), ""]
    if _has_baselines(report):
        parts += [*_pipes(*_baselines(report, markdown_text), left=1), ""]
    return "\n".join([*parts, markdown_text(sentence(report)), ""])


def comma_separated(report: EnergyReport) -> str:
    """Every layer with every count and energy: counts per inference, energies in joules per inference.

    Args:
        report: a network beside its baselines.

    Example:
        >>> import torch
        >>> from spikesim.energy import energy_report
        >>> from spikesim.energy.written import comma_separated
        >>> text = comma_separated(energy_report(torch.nn.Linear(10, 5), torch.ones(2, 10), input="analog"))
        >>> text.splitlines()[0][:52]
        'layer,input,network_J,network_zero_skipping_J,dense_'
    """
    energies = ("network", "network_zero_skipping", *BASELINE_NAMES)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "input", *(f"{name}_J" for name in energies), "loses_to", *COLUMNS])
    for row in report.rows:
        own = [report.ledger[name] for name in row.layers if name in report.ledger.layers]
        counts = [sum(layer[column] for layer in own) / report.ledger.samples for column in COLUMNS]
        name = row.layers[0] if len(row.layers) == 1 else row.layer
        kinds = "+".join(dict.fromkeys(layer.input_type for layer in own if layer.inputs))
        joules = [getattr(row, column) for column in energies]
        writer.writerow([_formula_free(name), kinds, *joules, " ".join(row.loses_to), *counts])
    return text.getvalue()


def _layers(
    report: EnergyReport, text: Callable[[str], str], empty: str, share: str
) -> tuple[list[str], list[list[str]]]:
    lines = layer_lines(report)
    factor, unit = one_unit(max(line.energy for line in lines))
    head = ["layer", "input", *COUNTED, f"energy ({text(unit)})", share]
    rows = []
    for line in lines:
        counts = [text(format_count(count)) if count else empty for count in line.counts]
        part = empty if line.share is None else f"{100 * line.share:.1f}"
        rows.append([text(line.name), text(line.input), *counts, f"{line.energy / factor:.4g}", part])
    return head, rows


def _baselines(report: EnergyReport, text: Callable[[str], str]) -> tuple[list[str], list[list[str]]]:
    factor, unit = one_unit(max(report.energies.values()))
    head = ["beside", f"network ({text(unit)})", f"baseline ({text(unit)})", "ratio", "95 % over samples", "P(less)"]
    found, rows = report.uncertainty, []
    for name, title in BASELINE_NAMES.items():
        ratio = report.ratio(name)
        spread = (found.counts or {}).get(f"ratio_{name}")
        rows.append(
            [
                text(title.format(bits=report.matched.bits)),
                f"{report.compared(name) / factor:.4g}",
                f"{report.energies[name] / factor:.4g}",
                f"{ratio:.3f}" if report.energies[name] else "n/a",
                f"{spread.low:.3f} to {spread.high:.3f}" if spread else "n/a",
                f"{found.wins[name]:.2f}" if found.wins else "n/a",
            ]
        )
    return [text(title) if "(" not in title else title for title in head], rows


def _has_baselines(report: EnergyReport) -> bool:
    return report.profile.has_baseline and report.ann_ledger is not report.ledger


def _tabular(head: Sequence[str], rows: Sequence[Sequence[str]], left: int, total: bool) -> list[str]:
    lines = [" & ".join(row) + r" \\" for row in rows]
    if total:
        lines.insert(len(lines) - 1, r"\midrule")
    columns = "l" * left + "r" * (len(head) - left)
    begin = [rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}", r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    return [*begin, *lines, r"\bottomrule", r"\end{tabular}"]


def _pipes(head: Sequence[str], rows: Sequence[Sequence[str]], left: int) -> list[str]:
    rule = [":---"] * left + ["---:"] * (len(head) - left)
    return [f"| {' | '.join(row)} |" for row in (head, rule, *rows)]


def _one_line(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _formula_free(name: str) -> str:
    """Spreadsheets run cells that begin like formulas."""
    return f"'{name}" if name[:1] in tuple("=+-@\t\r") else name
