"""Operations that stay analog because the user asked for it by name: ``allow_analog=[...]``."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import fx

from spikesim.converters.analog import STAYS, Kept, Slot
from spikesim.converters.binding import call_name, is_torchs_own, refuse
from spikesim.converters.inplace import writes_in_place
from spikesim.converters.verdicts import Verdict
from spikesim.converters.workbench import Workbench
from spikesim.errors import ConfigError

_ASKED = f"{STAYS}; as asked, so that layers behind it read analog values too"


def wanted(bench: Workbench, node: fx.Node, names: Collection[str]) -> bool:
    """Whether the user asked for a node, by its name in the audit or by what it is (``"GELU"``, ``"sigmoid"``).

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters.allowed import wanted
        >>> from spikesim.converters.trace import trace
        >>> from spikesim.converters.workbench import Workbench
        >>> bench = Workbench(trace(nn.Sequential(nn.GELU())), torch.zeros(1, 2))
        >>> node = list(bench.graph.nodes)[1]
        >>> wanted(bench, node, ["gelu_0"]), wanted(bench, node, ["GELU"]), wanted(bench, node, ["sigmoid"])
        (True, True, False)
    """
    return node.meta["origin"] in names or call_name(bench, node) in names


def check_names(bench: Workbench, names: object) -> None:
    """Refuse names that no operation of the model has.

    Raises:
        ConfigError: names the operations that there are.
    """
    if isinstance(names, str) or not isinstance(names, Collection):
        raise ConfigError(f"allow_analog is {names!r}; expected a list of names, such as ['{names}']")
    nodes = [node for node in bench.graph.nodes if node.op.startswith("call_")]
    known = {node.meta["origin"] for node in nodes} | {call_name(bench, node) for node in nodes}
    unknown = [name for name in names if name not in known]
    if unknown:
        there = ", ".join(dict.fromkeys(node.meta["origin"] for node in nodes))
        raise ConfigError(f"allow_analog names {unknown[0]!r}, and the model has no such operation; it has: {there}")


def keep_analog(bench: Workbench, node: fx.Node) -> None:
    """Let an operation stay what it is; refused where its result for a sample depends on others, or on chance.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from spikesim.converters import audit
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid())
        >>> audit(model, torch.zeros(1, 2), allow_analog=["Sigmoid"]).rows[-1].verdict.value
        'analog'
    """
    name, module = call_name(bench, node), bench.module(node)
    live = [n for n in node.all_input_nodes if not n.meta["plain"] and n.meta["constant"] is None]
    fixed = [n for n in node.all_input_nodes if n.meta["constant"] is not None]
    slots = {n: Slot(place) for place, n in enumerate([*live, *fixed])}
    unknown = [n.name for n in node.all_input_nodes if n.meta["plain"] and n.meta["value"] is None]
    if not live or any(not n.meta["shape"] for n in (node, *live)) or not is_torchs_own(node):
        return refuse(bench, node, name, f"'{name}' cannot stay analog: it is no function of torch from tensors "
                      "[N, ...] to one tensor [N, ...]")  # fmt: skip
    if unknown:
        return refuse(bench, node, name, f"'{name}' cannot stay analog: '{unknown[0]}' depends on the batch size")
    args, kwargs = fx.map_arg((node.args, node.kwargs), lambda n: slots.get(n, n.meta["value"]))
    kept = Kept(
        node.target if module is None else copy.deepcopy(module).eval(),
        _plain(args),
        _plain(kwargs),
        [n.meta["constant"].detach().clone() for n in fixed],
        writes_in_place(bench, node),
    )
    if not _by_sample(kept, live):
        return refuse(bench, node, name, f"'{name}' cannot stay analog: its result for one sample depends on others, "
                      "or on chance")  # fmt: skip
    bench.root.add_module(f"{node.name}_kept", kept)
    node.op, node.target, node.args, node.kwargs = "call_module", f"{node.name}_kept", tuple(live), {}
    return bench.note(node, Verdict.ANALOG, _ASKED)


def _plain(value: Any) -> Any:
    """Arguments as ordinary lists and dicts."""
    if isinstance(value, tuple):
        return tuple(_plain(part) for part in value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return {key: _plain(part) for key, part in value.items()} if isinstance(value, dict) else value


@torch.no_grad()
def _by_sample(kept: Kept, live: Sequence[fx.Node]) -> bool:
    generator = torch.Generator().manual_seed(0)
    like: Any = next(iter(kept.state_dict().values()), torch.zeros(0))
    xs = [torch.rand(3, *n.meta["shape"], generator=generator).to(like.device, n.meta["dtype"]) for n in live]
    whole = kept(*(x.clone() for x in xs))
    rows = torch.cat([kept(*(x[row : row + 1].clone() for x in xs)) for row in range(3)])
    return torch.allclose(whole, rows, rtol=1e-4, atol=1e-5, equal_nan=True)
