"""Save and load a converted network: weights as safetensors, the graph and the report as JSON, no pickles."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import fx, nn

from spikesim.converters.allowed_file import build_kept, describe_kept
from spikesim.converters.analog import Kept
from spikesim.converters.differential import ChangeOf, RateOf
from spikesim.converters.offset import OffsetIF
from spikesim.converters.outputs import from_structure, structure_of
from spikesim.converters.parallel import ParallelIF
from spikesim.converters.policies import half_threshold_if
from spikesim.converters.probe import Probe, check_probe, make_probe
from spikesim.converters.proof import mixes_time, prove
from spikesim.converters.report import ConversionReport
from spikesim.converters.residual import ResidualIF
from spikesim.converters.rules_resize import ZeroPad
from spikesim.converters.running import Difference, RunningSum
from spikesim.converters.settling import SettlingNetwork, TimedBias, steady_network
from spikesim.converters.signature import Signature, names_of
from spikesim.converters.staging import write_all
from spikesim.converters.stored_kinds import STORED_FIELDS, STORED_MAKERS, STORED_OPERANDS
from spikesim.converters.trace import place_of
from spikesim.errors import CheckpointError
from spikesim.neurons import STBIF, BurstIF, DifferentialIF, TallyIF
from spikesim.nn import Count, Network

_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
_POOL = ("kernel_size", "stride", "padding", "ceil_mode")
_FIELDS: dict[str, tuple[str, ...]] = {
    "Linear": ("in_features", "out_features"),
    "Flatten": ("start_dim", "end_dim"),
    "Unflatten": ("dim", "unflattened_size"),
    "AvgPool1d": (*_POOL, "count_include_pad"),
    **dict.fromkeys(["AvgPool2d", "AvgPool3d"], (*_POOL, "count_include_pad", "divisor_override")),
    **{f"MaxPool{d}d": (*_POOL, "dilation") for d in "123"},
    **{f"Adaptive{kind}Pool{d}d": ("output_size",) for kind in ("Avg", "Max") for d in "123"},
    **{f"Conv{d}d": _CONV for d in "123"},
    **{f"ConvTranspose{d}d": (*_CONV, "output_padding") for d in "123"},
    **dict.fromkeys(["IF", "RunningSum", "Difference"], ()),
    **dict.fromkeys(["ChangeOf", "RateOf", "ResidualIF", "STBIF"], ()),
    "BurstIF": ("burst",),
    "TallyIF": ("burst",),
    **dict.fromkeys(["ParallelIF", "OffsetIF"], ("steps",)),
    "DifferentialIF": ("rungs", "signed"),
    "Upsample": ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
    "ZeroPad": ("padding",),
    "TimedBias": ("channels",),
    **STORED_FIELDS,
}
_NEURONS: dict[str, Callable[..., nn.Module]] = {
    "IF": half_threshold_if,
    "STBIF": STBIF,
    "BurstIF": partial(BurstIF, initial={"v": 0.5}),
    "TallyIF": TallyIF,
    "DifferentialIF": DifferentialIF,
    "ParallelIF": ParallelIF,
    "OffsetIF": OffsetIF,
    "ChangeOf": ChangeOf,
    "RateOf": RateOf,
    "ZeroPad": ZeroPad,
    "ResidualIF": ResidualIF,
    "TimedBias": lambda channels: TimedBias(torch.zeros(channels)),
    "RunningSum": RunningSum,
    "Difference": Difference,
    **STORED_MAKERS,
}
_WEIGHTS, _PROBE, _REPORT, _NETWORK = "weights.safetensors", "probe.safetensors", "report.json", "network.json"
_FILES = (_WEIGHTS, _PROBE, _REPORT, _NETWORK)
SCHEMA = 3


class _Node(BaseModel):
    """One node: ``kind`` is input, output, add, cat or the class of a module; ``source`` its layer of the ANN."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    kind: str
    inputs: list[str]
    settings: dict[str, Any] = {}
    source: str | None = None


class _Graph(BaseModel):
    """The graph of a converted network, and the digests of the files that belong to it.

    ``inputs`` are the names of several inputs, in order; ``shapes`` those of one sample of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[3] = 3
    versions: dict[str, str]
    timesteps: int
    settles: bool = False
    wait: int = 0
    counts: bool = False
    inputs: list[str] = []
    shapes: list[tuple[int, ...]]
    sha256: dict[str, str]
    nodes: list[_Node]


def save_converted(network: Network, report: ConversionReport, folder: str | Path) -> None:
    """Write ``weights.safetensors``, ``probe.safetensors``, ``report.json`` and ``network.json`` into ``folder``.

    All are written before the first takes the place of an older one; ``network.json`` comes last and carries the
    digests of the others. The probe is noise and what the network says to it, see :mod:`spikesim.converters.probe`.

    Args:
        network: A converted network.
        report: Its report.
        folder: Made if it is missing.

    Example:
        >>> import tempfile, torch
        >>> from torch import nn
        >>> from spikesim.converters import convert, load_converted
        >>> x = torch.rand(16, 4, generator=torch.Generator().manual_seed(0))
        >>> done = convert(nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2)), x, timesteps=4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     done.save(folder)
        ...     again = load_converted(folder)
        >>> torch.equal(again.network(x), done.network(x)), again.report == done.report
        (True, True)
    """
    from safetensors.torch import save

    graph: Any = network.module
    shapes = [tuple(node.meta["shape"]) for node in graph.graph.nodes if node.op == "placeholder"]
    probe = make_probe(network, shapes, report.timesteps).tensors()
    files = {
        _WEIGHTS: save({name: value.contiguous() for name, value in graph.state_dict().items()}),
        _PROBE: save({name: value.contiguous() for name, value in probe.items()}),
        _REPORT: report.to_json().encode(),
    }
    described = _Graph(
        versions=report.versions,
        timesteps=report.timesteps,
        settles=isinstance(network, SettlingNetwork),
        wait=report.wait,
        counts=isinstance(network.readout, Count),
        inputs=names_of(graph.graph),
        shapes=shapes,
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        nodes=[_describe(graph, node) for node in graph.graph.nodes],
    )
    write_all(folder, {**files, _NETWORK: described.model_dump_json(indent=1).encode()})


def load_network(folder: str | Path, verify: bool = True) -> tuple[Network, ConversionReport]:
    """Read what :func:`save_converted` wrote, without the class of the ANN and without executing stored code.

    Args:
        folder: Where the four files are.
        verify: Put the stored probe to the network, and compare every layer's spikes and the outputs.

    Returns:
        The network in eval mode and its report.

    Raises:
        CheckpointError: A file is missing, damaged, of another schema version, or belongs to another network; or the
            network does not answer as it did.

    Example:
        >>> from spikesim.converters.artefact import load_network
        >>> load_network("no-such-folder")
        Traceback (most recent call last):
        ...
        spikesim.errors.CheckpointError: no converted network in no-such-folder: missing weights.safetensors, \
probe.safetensors, report.json, network.json
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    place = Path(folder)
    missing = [name for name in _FILES if not (place / name).is_file()]
    if missing:
        _check_version(place, missing)
        raise CheckpointError(f"no converted network in {folder}: missing {', '.join(missing)}")
    try:
        _check_version(place, missing)
        graph = _Graph.model_validate_json((place / _NETWORK).read_text())
        files = {name: (place / name).read_bytes() for name in _FILES[:-1]}
        for name, content in files.items():
            if hashlib.sha256(content).hexdigest() != graph.sha256.get(name):
                raise CheckpointError(
                    f"{name} in {folder} is damaged or belongs to another network (its digest is not the one in "
                    f"{_NETWORK}): save it again"
                )
        report = ConversionReport.from_json(files[_REPORT].decode())
        network = _network(graph, load(files[_WEIGHTS]))
        probe = Probe.of(load(files[_PROBE]))
    except CheckpointError:
        raise
    except (SafetensorError, LookupError, ValueError, RuntimeError, TypeError, AttributeError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"the converted network in {folder} cannot be read ({first}): save it again") from error
    if verify:
        try:
            check_probe(network, probe, graph.timesteps)
        except (CheckpointError, ValueError, RuntimeError) as error:
            saved = ", ".join(f"{name} {version}" for name, version in graph.versions.items())
            raise CheckpointError(
                f"the network in {folder} is not what was saved: {error} (saved by {saved}; here torch "
                f"{torch.__version__}). Convert the model again, or pass verify=False to load it nevertheless"
            ) from error
    return network, report


def _check_version(place: Path, missing: list[str]) -> None:
    """Tell a folder of another version by its ``network.json``, before it is blamed for what it lacks."""
    if _NETWORK in missing:
        return
    try:
        found = json.loads((place / _NETWORK).read_text())
    except ValueError as error:
        raise CheckpointError(f"{_NETWORK} in {place} is damaged, it is no JSON: save it again") from error
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA:
        raise CheckpointError(
            f"the network in {place} has schema version {version!r} and this spikesim reads {SCHEMA}: "
            "load it with the version that wrote it, or convert the model again"
        )


def _network(graph: _Graph, values: dict[str, torch.Tensor]) -> Network:
    module = _build(graph.nodes, graph.inputs)
    for name, value in values.items():
        place, _, buffer = name.rpartition(".")
        if buffer == "initial_v" and value.dim():  # potentials that were calibrated
            module.get_submodule(place).initial_v = torch.zeros_like(value)
    module.load_state_dict(values, assign=True)
    prove(module)
    places = [node for node in module.graph.nodes if node.op == "placeholder"]
    for node, shape in zip(places, graph.shapes, strict=True):
        node.meta["shape"] = tuple(shape)
    network: Network
    if graph.settles:
        network = SettlingNetwork(module, graph.timesteps, counts=graph.counts)
    else:
        network = steady_network(module, graph.timesteps, graph.wait, not mixes_time(module), graph.counts)
    return network.eval()


def _describe(root: nn.Module, node: fx.Node) -> _Node:
    return _operation(root, node).model_copy(update={"source": node.meta.get("source")})


def _operation(root: nn.Module, node: fx.Node) -> _Node:
    inputs = [source.name for source in _sources(node)]
    if node.op == "call_module":
        module = root.get_submodule(str(node.target))
        kind = type(module).__name__
        if isinstance(module, Kept):
            return _Node(name=node.name, kind="analog", inputs=inputs, settings=describe_kept(module, node.name))
        settings = {field: getattr(module, field) for field in _FIELDS[kind]}
        if kind in ("Linear", "LayerNorm") or "Conv" in kind:
            settings["bias"] = module.bias is not None
        return _Node(name=node.name, kind=kind, inputs=inputs, settings=settings)
    kinds: dict[Any, str] = {operator.add: "add", torch.cat: "cat"}
    kind = kinds.get(node.target, {"placeholder": "input", "output": "output"}.get(node.op, ""))
    several = node.op == "output" and not isinstance(node.args[0], fx.Node)
    return _Node(
        name=node.name, kind=kind, inputs=inputs, settings={"structure": structure_of(node.args[0])} if several else {}
    )


def _sources(node: fx.Node) -> list[fx.Node]:
    """Inputs in order, with repetitions (``x + x``)."""
    found: list[fx.Node] = []
    fx.map_arg(node.args, found.append)
    return found


def _build(nodes: list[_Node], names: list[str]) -> fx.GraphModule:
    graph = fx.Graph()
    made: dict[str, fx.Node] = {}
    root: dict[str, nn.Module] = {}
    for node in nodes:
        inputs = [made[name] for name in node.inputs]
        several = len(inputs) if node.kind in ("cat", "analog") or "structure" in node.settings else 1
        needed = {"input": 0, "add": 2, **STORED_OPERANDS}.get(node.kind, max(1, several))
        if len(inputs) != needed:
            raise ValueError(f"node '{node.name}' ({node.kind}) has {len(inputs)} inputs, but it needs {needed}")
        if node.kind == "input":
            made[node.name] = graph.placeholder(node.name)
        elif node.kind == "output":
            structure = node.settings.get("structure", node.inputs[0])
            made[node.name] = graph.output(from_structure(structure, made))
        elif node.kind in ("add", "cat"):
            target, args = (operator.add, tuple(inputs)) if node.kind == "add" else (torch.cat, (inputs, 1))
            made[node.name] = graph.create_node("call_function", target, args, {}, name=node.name)
        elif node.kind == "analog":
            root[place_of(node.name)] = build_kept(node.settings)
            made[node.name] = graph.create_node("call_module", place_of(node.name), tuple(inputs), {}, name=node.name)
        else:
            settings = {k: tuple(v) if isinstance(v, list) else v for k, v in node.settings.items()}
            if not set(settings) <= {*_FIELDS[node.kind], "bias"}:
                raise KeyError(f"unknown settings of {node.kind}")
            place = place_of(node.name)
            make = _NEURONS.get(node.kind) or getattr(nn, node.kind)
            root[place] = make(**settings)
            made[node.name] = graph.create_node("call_module", place, tuple(inputs), {}, name=node.name)
    for node in nodes:
        if node.source is not None:
            made[node.name].meta["source"] = node.source
    if names:
        graph.set_codegen(Signature(tuple(names), "tuple").codegen())
    return fx.GraphModule(root, graph, class_name="SpikingGraph").eval()
