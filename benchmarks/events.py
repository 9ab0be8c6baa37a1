"""Is every transform of events faster than Tonic's, and every reader? A million events on 128 x 128 pixels, one core.

Ours and Tonic's take turns in one process, on fresh copies of the same array (some of Tonic's write into it), and their
results are compared in the same run. Tonic's averaged time surface takes more than linear time, so both get as few
events as it can bear. Processor time of one thread is counted; the copies are not.

    python benchmarks/events.py
    python benchmarks/events.py --groups frames filters --rounds 5
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from harness import Results, child, interleave, machine

COUNT = 1_000_000
FLOOR = 250.0  # million events a second for the frames of `ToFrame(n_time_bins=16)`


def measure(group: str, rounds: int, count: int) -> None:
    """One group, in this process; the JSON goes to the last line of standard output."""
    import torch

    torch.set_num_threads(1)
    rows = readers(rounds, count) if group == "readers" else transforms(group, rounds, count)
    print(json.dumps({"rows": rows, "machine": machine()}), flush=True)


def transforms(group: str, rounds: int, count: int) -> dict[str, Any]:
    import tonic.transforms as theirs
    from event_cases import CASES, recording

    from spikesim.datasets import transforms as ours

    rows = {}
    for name, case in CASES[group].items():
        master = recording(case.count or count, case.dtype, case.start)
        if case.frames:
            master = theirs.ToFrame((128, 128, 2), n_time_bins=80)(master)
        given: dict[str, Any] = {}

        def fresh(master: Any = master, given: dict[str, Any] = given) -> None:
            given["data"] = master.copy()

        pair = {"spikesim": case.ours(ours), "tonic": case.theirs(theirs)}
        results = {}
        for whose, transform in pair.items():
            fresh()
            results[whose] = transform(given["data"])
        calls = {who: (lambda t=t, given=given: t(given["data"])) for who, t in pair.items()}
        times = interleave(calls, rounds, seconds=20.0, batch=False, before=fresh)
        rows[name] = row(times, len(master) if not case.frames else None, case.compare(*results.values()), case.target)
        report(name, rows[name])
    return rows


def readers(rounds: int, count: int) -> dict[str, Any]:
    import tempfile
    from pathlib import Path

    from event_files import files

    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, case in files(Path(folder), count).items():
            if isinstance(case, str):
                rows[name] = {"skipped": case}
                print(f"  {name:40s} skipped: {case}")
                continue
            times = interleave({"spikesim": case.ours, "tonic": case.theirs}, rounds, seconds=20.0)
            rows[name] = row(times, case.events, case.compare(case.ours(), case.theirs()), case.target)
            rows[name] |= {"bytes": case.size, "beside": case.beside}
            rows[name]["mb_per_second"] = case.size / times["spikesim"].median / 1e6
            report(name, rows[name], f"{rows[name]['mb_per_second']:7.0f} MB/s, beside {case.beside}")
    return rows


def row(times: dict[str, Any], events: int | None, compared: str, target: float | None) -> dict[str, Any]:
    """Figures of a pair; without a target the other is no reader of Tonic's, and is only shown."""
    ours, theirs = times["spikesim"], times["tonic"]
    ratio = theirs.median / ours.median
    return {
        "spikesim": ours.summary(),
        "tonic": theirs.summary(),
        "times_as_fast": ratio,
        "target": target,
        "reached": target is None or ratio >= target,
        "million_events_per_second": events / ours.median / 1e6 if events else None,
        "result": compared,
        "right": "UN" not in compared,
        "disturbed": not (ours.trusted and theirs.trusted),
    }


def report(name: str, found: dict[str, Any], more: str = "") -> None:
    speed = found["million_events_per_second"]
    print(
        f"  {name:40s} {found['spikesim']['median_ms']:9.3f} ms {found['tonic']['median_ms']:10.2f} ms "
        f"{found['times_as_fast']:7.1f} x {'' if found['reached'] else 'BELOW ' + str(found['target'])}"
        f"{f'{speed:8.1f} M/s' if speed else '':12s} {found['result']} {more}"
        + ("  DISTURBED" if found["disturbed"] else ""),
        flush=True,
    )


def main() -> None:
    from event_cases import CASES

    groups = [*CASES, "readers"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", nargs="+", choices=groups, default=groups)
    parser.add_argument("--rounds", type=int, default=9, help="clean samples wanted")
    parser.add_argument("--count", type=int, default=COUNT, help="events")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        measure(arguments.groups[0], arguments.rounds, arguments.count)
        return
    results = Results("events")
    short = []
    for group in arguments.groups:
        print(f"\n{group}, {arguments.count} events: ours, Tonic's", flush=True)
        passed = ["--child", "--groups", group, "--rounds", str(arguments.rounds), "--count", str(arguments.count)]
        found = child(passed)
        if "failed" in found:
            print(f"  {found['failed']}; nothing written")
            short.append(group)
            continue
        results.content["machine"] = found.pop("machine")
        results.add(group, found["rows"])
        for name, case in found["rows"].items():
            slow = name == "ToFrame(n_time_bins=16)" and case["million_events_per_second"] < FLOOR
            if "skipped" not in case and (slow or not case["reached"] or not case["right"]):
                short.append(name)
    print(f"\nwritten to {results.path}")
    if short:
        print(f"short of its figure, or unlike Tonic's without a reason: {', '.join(short)}")
        sys.exit(3)


if __name__ == "__main__":
    main()
