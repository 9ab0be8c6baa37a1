"""How much accuracy does a conversion keep, by which method, at how many steps, and what do peers keep?

A residual network with 13 spiking layers learns scikit-learn's digits, enlarged to 16 x 16 pixels, shifted and with
noise, and is converted anew by every method for every T. None sees a label but fine-tuning, which trains on the
digits that the ANN was trained on. Test images are held-out digits under several
shifts and draws of noise. Peers (where installed) convert the same weights with the same calibration images,
on their own terms: SpikingJelly's rate coding (99.9 %) and local threshold balancing, whose networks are run for T,
and sinabs' from_model, which takes the weights as they are and lets neurons send several spikes in a step.

    python benchmarks/conversion.py           # an hour or more; results/conversion.json; goes on where it stopped
    python benchmarks/conversion.py --again --seeds 0 --timesteps 1 4 --methods "mse + bias" exact
    python benchmarks/conversion.py --energy  # and the energy of each, in twice the time
"""

from __future__ import annotations

import argparse
import copy
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from harness import Results, machine
from torch import Tensor, nn

STEPS = [1, 2, 4, 8, 16, 32]
PERCENT = "99.9 %, v0 = 1/2, layer"
METHODS: dict[str, dict[str, Any]] = {
    PERCENT: {"threshold": "percentile", "granularity": "layer", "calibrate": ()},
    "mse": {"calibrate": ()},
    "mse + bias": {},
    "signed_if + bias": {"neuron": "signed_if"},
    "signed_if + weights, bias": {"neuron": "signed_if", "calibrate": "weights,bias"},
    "scale, bias": {"calibrate": "scale,bias"},
    "bias, potential": {"calibrate": "bias,potential"},
    "cos(4) + bias": {"neuron": "cos(4)"},
    "differential(4) + bias": {"neuron": "differential(4)"},
    "burst(5) + bias": {"neuron": "burst(5)"},
    "group(4) + bias": {"neuron": "group(4)"},
    "multi_threshold(2) + bias": {"neuron": "multi_threshold(2)"},
    "multi_threshold(4) + bias": {"neuron": "multi_threshold(4)"},
    "parallel + bias": {"neuron": "parallel"},
    "exact": {"exact": True},
    "exact + weights, bias": {"exact": True, "calibrate": "weights,bias"},
}
CALIBRATION = 1024  # images, under one draw of noise each; all of the training digits or fewer, none of the test's
FINETUNED = "signed_if + fine-tuning"
LEARNT_STEPS = 8  # fine-tuning through more steps takes longer than all the rest
# What may be lost against the ANN at T, in points, by the best of a family of methods.
ASKED: dict[str, tuple[list[str], int, float]] = {
    "binary spikes": (["mse + bias", "scale, bias", "bias, potential", "cos(4) + bias", "parallel + bias"], 4, 4.0),
    "signed or ST-BIF, no labels": (["signed_if + bias", "signed_if + weights, bias", "exact + weights, bias"], 4, 1.5),
    "multi-threshold, n = 4": (["multi_threshold(4) + bias"], 1, 1.0),
}
RATE_CODING = "SpikingJelly, rate coding 99.9 %"
BALANCING = "SpikingJelly, local threshold balancing"
FROM_MODEL = "sinabs, from_model"
# How many points above a peer at T = 4: the distances of the same methods in the comparison that the targets are from
# (300 images of another draw: 91.0 binary and 94.3 signed, 12.3 rate coding, 81.3 balancing); sinabs was not in it.
AHEAD = {
    "binary spikes": {RATE_CODING: 78.7, BALANCING: 9.7, FROM_MODEL: 0.0},
    "signed or ST-BIF, no labels": {RATE_CODING: 82.0, BALANCING: 13.0, FROM_MODEL: 0.0},
}


class Block(nn.Module):
    """Two 3x3 convolutions with batch-norm, and a shortcut."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
        self.conv2, self.bn2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        same = inside == outside and stride == 1
        self.short = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        return self.relu2(y + self.short(x))


def resnet(width: int = 8) -> nn.Module:
    """Six blocks, 13 ReLUs."""
    stem = [nn.Conv2d(1, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    plan = [(width, 1), (width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 1)]
    blocks, inside = [], width
    for outside, stride in plan:
        blocks.append(Block(inside, outside, stride))
        inside = outside
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inside, 10))


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    """Digits ``[N, 8, 8]`` as ``[N, 1, 16, 16]``: twice as large, shifted by up to 2 pixels, with noise."""
    large = F.interpolate(images[:, None], scale_factor=2, mode="bilinear", align_corners=False)
    padded = F.pad(large, (2, 2, 2, 2))
    shifts = torch.randint(0, 5, (len(images), 2), generator=generator)
    cut = torch.stack([p[:, y : y + 16, x : x + 16] for p, (y, x) in zip(padded, shifts.tolist())])
    return (cut + 0.35 * torch.randn(cut.shape, generator=generator)).clamp(0, 1)


def task(seed: int) -> dict[str, Tensor]:
    """Training digits, 2160 test images of others, and calibration images without labels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = torch.tensor(found.images, dtype=torch.float32) / 16, torch.tensor(found.target)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    train, test = order[:1257], order[1257:]
    x = torch.cat([noisy(images[test], generator) for _ in range(4)])
    return {
        "images": images[train],
        "labels": labels[train],
        "x": x,
        "y": labels[test].repeat(4),
        "calibration": noisy(images[train[:CALIBRATION]], generator),
    }


def trained(data: dict[str, Tensor], seed: int, epochs: int = 30) -> nn.Module:
    """The ANN, after some epochs on freshly shifted and noisy digits."""
    torch.manual_seed(seed)
    return learn(resnet(), data, seed, epochs, 3e-3)


def learn(model: nn.Module, data: dict[str, Tensor], seed: int, epochs: int, rate: float) -> nn.Module:
    """Train any network on the labelled training digits."""
    generator = torch.Generator().manual_seed(seed + 1000)
    steps = epochs * (len(data["images"]) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(epochs):
        order = torch.randperm(len(data["images"]), generator=generator)
        for batch in order[: len(order) // 64 * 64].split(64):
            loss = F.cross_entropy(model(noisy(data["images"][batch], generator)), data["labels"][batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def accuracy(network: Callable[[Tensor], Tensor], data: dict[str, Tensor]) -> float:
    right = sum(int((network(x).argmax(1) == y).sum()) for x, y in zip(data["x"].split(120), data["y"].split(120)))
    return 100 * right / len(data["y"])


def finetuned(model: nn.Module, data: dict[str, Tensor], seed: int, steps: list[int]) -> dict[int, float]:
    """Accuracy by T of signed neurons that have gone on learning for half of the ANN's epochs, with labels."""
    from spikesim.converters import convert, finetunable

    found = {}
    for t in [t for t in steps if t <= LEARNT_STEPS]:
        done = convert(model, data["calibration"], timesteps=t, neuron="signed_if", samples=CALIBRATION)
        found[t] = accuracy(learn(finetunable(done), data, seed + 1000, 15, 2e-3), data)
    return found


def stepped(reset: Callable[[nn.Module], None], network: nn.Module, steps: int, x: Tensor) -> Tensor:
    """The summed outputs of a network that takes one step per call."""
    reset(network)
    return sum(network(x) for _ in range(steps))  # type: ignore[return-value]


def peers(model: nn.Module, data: dict[str, Tensor], steps: list[int]) -> dict[str, dict[int, float] | str]:
    """Accuracy of what the other packages make of the same network, by T; or why it could not be measured."""
    found: dict[str, dict[int, float] | str] = {}
    for kind in (of_spikingjelly, of_sinabs):
        try:
            contestants = kind(model, data)
        except ImportError as error:
            found[kind.__name__.removeprefix("of_")] = str(error)
            continue
        for name, make in contestants.items():
            try:
                at = make()
                found[name] = {t: accuracy(partial(at, t), data) for t in steps}
            except Exception as error:  # a peer's interface may have changed; the others go on
                found[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    return found


Peer = Callable[[], Callable[[int, Tensor], Tensor]]  # what makes a network that is run for so many steps


def of_spikingjelly(model: nn.Module, data: dict[str, Tensor]) -> dict[str, Peer]:
    from spikingjelly.activation_based import ann2snn, functional
    from spikingjelly.activation_based.ann2snn import recipes

    batches = [(x, torch.zeros(len(x))) for x in data["calibration"].split(64)]
    many = batches * -(-1000 // len(batches))  # a thousand updates, the least that its authors use

    def converted(recipe: Callable[[], Any]) -> Callable[[int, Tensor], Tensor]:
        spiking = ann2snn.Converter(recipe=recipe()).convert(copy.deepcopy(model))
        return partial(stepped, functional.reset_net, spiking)

    return {
        RATE_CODING: partial(converted, lambda: recipes.RateCodingRecipe(mode="99.9%", dataloader=batches)),
        BALANCING: partial(converted, lambda: recipes.LocalThresholdBalancingRecipe(dataloader=many)),
    }


def of_sinabs(model: nn.Module, data: dict[str, Tensor]) -> dict[str, Peer]:
    from sinabs.from_torch import from_model

    def run(steps: int, x: Tensor) -> Tensor:
        spiking = from_model(copy.deepcopy(model), batch_size=len(x)).spiking_model
        out: Tensor = spiking(x.repeat_interleave(steps, 0))  # its layers take samples and steps in one dimension
        return out.unflatten(0, (len(x), steps)).sum(1)

    return {FROM_MODEL: lambda: run}


def measure(seed: int, steps: list[int], methods: list[str], profile: str | None) -> dict[str, Any]:
    from spikesim.converters import compare

    data = task(seed)
    begin = time.perf_counter()
    model = trained(data, seed)
    ann = accuracy(model, data)
    print(f"\nseed {seed}: ANN {ann:.2f} % on {len(data['y'])} images, trained in {time.perf_counter() - begin:.0f} s")
    chosen = {name: METHODS[name] for name in methods if name in METHODS}
    test = (data["x"], data["y"])
    rows = compare(
        model, data["calibration"], test, timesteps=steps, methods=chosen, samples=CALIBRATION, profile=profile
    ).rows
    found: dict[str, Any] = {}
    for row in rows:
        if row.accuracy is None or row.latency is None:
            raise SystemExit(f"{row.method} at T={row.timesteps} failed: {row.failed}")
        cell = {"accuracy": 100 * row.accuracy, "spikes": row.spikes, "energy": row.energy, "steps": row.latency.steps}
        found.setdefault(row.method, {})[str(row.timesteps)] = cell
    if FINETUNED in methods:
        by_t = finetuned(model, data, seed, steps)
        found[FINETUNED] = {str(t): {"accuracy": value, "latency": t} for t, value in by_t.items()}
    for name, by_t in peers(model, data, steps).items():
        if isinstance(by_t, str):
            found[name] = {"skipped": by_t}
        else:
            found[name] = {str(t): {"accuracy": value} for t, value in by_t.items()}
    for name, cells in found.items():
        line = cells.get("skipped") or "".join(f"{cells[str(t)]['accuracy']:8.2f}" for t in steps if str(t) in cells)
        print(f"  {name:42s} {line}", flush=True)
    return {"ann": ann, "images": len(data["y"]), "methods": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--timesteps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--methods", nargs="+", choices=[*METHODS, FINETUNED], default=[*METHODS, FINETUNED])
    parser.add_argument("--energy", action="store_true", help="price every method")
    parser.add_argument("--again", action="store_true", help="measure seeds that the file already holds")
    arguments = parser.parse_args()
    results = Results("conversion", arguments.again)
    results.content["machine"] = machine()
    profile = "horowitz45-fp32" if arguments.energy else None
    for seed in arguments.seeds:
        if f"seed {seed}" not in results:
            results.add(f"seed {seed}", measure(seed, arguments.timesteps, arguments.methods, profile))
    seeds = [results.content["groups"][f"seed {seed}"] for seed in arguments.seeds]
    verdict = lost(seeds)
    results.add("points lost, mean of the seeds", verdict)
    print("\npoints lost, mean of the seeds")
    for name, (_, t, most) in ASKED.items():
        if name in verdict:
            best, mean = verdict[name]["method"], verdict[name]["mean"]
            note = "  SHORT" if mean > most else ""
            print(f"  {name:30s} T={t}: {mean:6.2f} by {best} (asked: at most {most}){note}")
    short = any(verdict[name]["mean"] > most for name, (_, _, most) in ASKED.items() if name in verdict)
    ahead = margins(seeds, verdict)
    results.add("points ahead of peers, mean of the seeds", ahead)
    for name, by_peer in ahead.items():
        for peer, points in by_peer.items():
            asked = AHEAD[name][peer]
            short |= points < asked
            note = "  SHORT" if points < asked else ""
            print(f"  {name:30s} T={ASKED[name][1]}: {points:+6.2f} points on {peer} (asked: {asked:+.1f}){note}")
    print(f"written to {results.path}")
    sys.exit(3 if short else 0)


def lost(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """The best method of every family, by the mean over the seeds."""
    verdict: dict[str, Any] = {}
    for name, (methods, t, _) in ASKED.items():
        losses = {
            method: [found["ann"] - found["methods"][method][str(t)]["accuracy"] for found in seeds]
            for method in methods
            if all(str(t) in found["methods"].get(method, {}) for found in seeds)
        }
        if losses:
            best = min(losses, key=lambda method: sum(losses[method]))
            verdict[name] = {"method": best, "mean": sum(losses[best]) / len(seeds), "seeds": losses[best]}
    return verdict


def margins(seeds: list[dict[str, Any]], verdict: dict[str, Any]) -> dict[str, dict[str, float]]:
    """By how many points the best method of a family is above each peer at the same T."""
    found: dict[str, dict[str, float]] = {}
    for name in AHEAD.keys() & verdict.keys():
        t, best = str(ASKED[name][1]), verdict[name]["method"]
        for peer in AHEAD[name]:
            if all(t in seed["methods"].get(peer, {}) for seed in seeds):
                distance = [
                    seed["methods"][best][t]["accuracy"] - seed["methods"][peer][t]["accuracy"] for seed in seeds
                ]
                found.setdefault(name, {})[peer] = sum(distance) / len(seeds)
    return found


if __name__ == "__main__":
    main()
