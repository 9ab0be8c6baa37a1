"""A self-contained HTML page: headings, text, tables and embedded pictures, no script, no network."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .25rem .8rem; border-bottom: 1px solid #ddd }
th { text-align: left; background: #f4f6f8 }
td + td { text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% }
"""


@dataclass(frozen=True)
class Section:
    """One part of the page, shown in the order text, table, picture.

    Args:
        title: heading.
        text: paragraphs; an empty line parts them.
        columns: table heads.
        rows: table rows, one cell per column, already formatted.
        png: bytes of a PNG picture.
    """

    title: str
    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    png: bytes = b""


def html_page(title: str, sections: Sequence[Section]) -> str:
    """Render sections to one HTML document; every text is escaped.

    Example:
        >>> from spikesim.viz import Section, html_page
        >>> page = html_page("Run", [Section("Accuracy", columns=["T", "SNN"], rows=[["8", "97.1 %"]])])
        >>> "<td>97.1 %</td>" in page
        True
    """
    body = "\n".join(_section(section) for section in sections)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n{body}\n</body></html>\n"
    )


def _section(section: Section) -> str:
    parts = [f"<h2>{escape(section.title)}</h2>"]
    parts += [f"<p>{escape(part.strip())}</p>" for part in section.text.split("\n\n") if part.strip()]
    if section.columns:
        head = "".join(f"<th>{escape(column)}</th>" for column in section.columns)
        rows = "\n".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
        parts.append(f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>")
    if section.png:
        data = base64.b64encode(section.png).decode()
        parts.append(f'<img alt="{escape(section.title)}" src="data:image/png;base64,{data}">')
    return "\n".join(parts)
