"""``spikesim datasets cache info | verify | clear``: the frames that are kept on disk."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from spikesim.cli.datasets_catalog import progress, write
from spikesim.cli.model import JsonPath
from spikesim.errors import CheckFailed

if TYPE_CHECKING:
    from spikesim.datasets.cache import CacheEntry

Root = Annotated[
    Path | None,
    typer.Option(help="Folder of the cache.", show_default="frames in SPIKESIM_CACHE_DIR or the user's cache folder"),
]

cache = typer.Typer(help="Look after the frames that CachedFrames keeps on disk.", no_args_is_help=True)


@cache.command()
def info(root: Root = None, json_path: JsonPath = None) -> None:
    """Show every entry: what it was made from, its size, and when it was last used.

    Example: spikesim datasets cache info
    """
    from spikesim.datasets.cache import cache_entries, cache_root
    from spikesim.datasets.cache.failures import readable

    entries = cache_entries(root)
    _show(entries)
    total = f"{len(entries)} entries, {readable(sum(entry.bytes for entry in entries))}, in {cache_root(root)}"
    _say(total)
    write(json_path, {"schema": 1, "root": str(cache_root(root)), "entries": [_row(entry) for entry in entries]})


@cache.command()
def verify(root: Root = None, json_path: JsonPath = None) -> None:
    """Read every entry whole and compare checksums; exit 3 if one is damaged.

    A damaged entry is made anew when it is next asked for, if its sizes already tell; `clear` deletes it at once.

    Example: spikesim datasets cache verify
    """
    from spikesim.datasets.cache import cache_entries, cache_root, verify_cache

    with progress("bytes", sum(entry.bytes for entry in cache_entries(root))) as advance:
        entries = verify_cache(root, advance)
    _show(entries)
    write(json_path, {"schema": 1, "root": str(cache_root(root)), "entries": [_row(entry) for entry in entries]})
    damaged = [f"{entry.folder.name[:12]}: {entry.damage}" for entry in entries if entry.damage]
    if damaged:
        raise CheckFailed(f"{'; '.join(damaged)}. `spikesim datasets cache clear --damaged` deletes what is damaged")
    _say(f"{len(entries)} entries as they were written, in {cache_root(root)}")


@cache.command()
def clear(
    root: Root = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Only what `verify` finds damaged.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also entries that a running process has open.")] = False,
) -> None:
    """Delete all entries that no running process has open; nothing else that lies in the folder.

    Example: spikesim datasets cache clear
    """
    from spikesim.datasets.cache import cache_root, clear_cache
    from spikesim.datasets.cache.failures import readable

    gone, kept = clear_cache(root, force, damaged)
    freed = readable(sum(entry.bytes for entry in gone))
    stayed = f"; {len(kept)} in use stayed (--force deletes them, too)" if kept else ""
    _say(f"deleted {len(gone)} entries, {freed}, in {cache_root(root)}{stayed}")


def register(app: typer.Typer) -> None:
    """Add the commands to ``spikesim datasets``."""
    app.add_typer(cache, name="cache")


def _show(entries: list[CacheEntry]) -> None:
    from rich.console import Console
    from rich.table import Table

    from spikesim.datasets.cache.failures import readable

    table = Table("entry", "dataset", "transform", "samples", "frames", "size", "last used", "state")
    for entry in entries:
        made = entry.manifest
        frames = f"{made.dtype} {'x'.join(map(str, made.frame))}" if made else "-"
        table.add_row(
            entry.folder.name[:12], made.dataset if made else "-", made.transform if made else "-",
            str(made.samples) if made else "-", frames, readable(entry.bytes),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used)) if entry.used else "-", entry.damage or "ok",
        )  # fmt: skip
    if entries:
        Console().print(table)


def _row(entry: CacheEntry) -> dict[str, Any]:
    made = entry.manifest
    about: dict[str, Any] = {}
    if made is not None:
        about = {
            "dataset": made.dataset, "transform": made.transform, "samples": made.samples, "steps": made.steps,
            "frame": list(made.frame), "dtype": made.dtype, "created": made.created,
            "account": [row._asdict() for row in made.account],
        }  # fmt: skip
    return {"key": entry.folder.name, "bytes": entry.bytes, "used": entry.used, "damage": entry.damage, **about}


def _say(text: str) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text, markup=False)
