"""Several inputs and outputs: from the calibration data to the file."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from spikesim.converters import audit, compare, convert, early_exit, folded, load_converted, measure
from spikesim.converters.artefact import load_network
from spikesim.energy import Ledger, energy_report
from spikesim.errors import CalibrationError, CheckpointError, ConfigError, ConversionError

G = torch.Generator().manual_seed(0)
X, Y, LABELS = torch.rand(40, 4, generator=G), torch.rand(40, 3, generator=G), torch.arange(40) % 2


class Two(nn.Module):
    """Two inputs meet in a sum; a nested structure comes out, with None, an analog value, and one node twice."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.hidden = nn.Linear(4, 8), nn.Linear(3, 8), nn.Linear(8, 8)
        self.scores, self.value = nn.Linear(8, 2), nn.Linear(8, 1)

    def forward(self, x: Tensor, y: Tensor, scale: float = 1.0) -> dict[str, Any]:
        h = F.relu(self.a(x) + self.b(y)) * scale
        scores = self.scores(F.relu(self.hidden(h)))
        return {"scores": scores, "more": [(self.value(h), None), self.a(x), scores]}


class Scores(nn.Module):
    """One output of the two."""

    def __init__(self) -> None:
        super().__init__()
        self.two = Two()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.two(x, y)["scores"]


def model() -> nn.Module:
    torch.manual_seed(0)
    return Two().eval()


def leaves(out: dict[str, Any]) -> list[Tensor]:
    return [out["scores"], out["more"][0][0], out["more"][1], out["more"][2]]


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        {"x": X, "y": Y},
        ((X, Y), LABELS),
        ({"y": Y, "x": X}, LABELS),
        [(X[:20], Y[:20]), (X[20:], Y[20:])],
        [{"x": X[:20], "y": Y[:20]}, {"x": X[20:], "y": Y[20:]}],
        [((X, Y), LABELS)],
        DataLoader(TensorDataset(X, Y, LABELS), batch_size=16),
    ],
)
def test_every_form_of_calibration_data_gives_the_same_network(data: Any) -> None:
    ann = model()
    network, report = convert(ann, data, timesteps=256)
    wanted, _ = convert(ann, (X, Y), timesteps=256)
    assert report.calibration_samples == 40
    given = {"y": Y, "x": X} if isinstance(data, dict) else (X, Y)
    for y, same, exact in zip(leaves(network(given)), leaves(wanted((X, Y))), leaves(ann(X, Y))):
        torch.testing.assert_close(y, same, rtol=1e-4, atol=1e-5)
        assert (y - exact).abs().max() < 0.02 * exact.abs().max()


@pytest.mark.parametrize(
    "how", [{}, {"exact": True}, {"neuron": "srp(2)"}, {"neuron": "parallel"}, {"calibrate": "bias,potential"}]
)
def test_every_method_takes_several(how: dict[str, Any], tmp_path: Path) -> None:
    ann = model()
    done = convert(ann, (X, Y), timesteps=8, **how)
    out = done.network((X, Y))
    assert out["more"][0][1] is None and isinstance(out["more"], list)
    assert max(layer.identity_error for layer in done.report.layers) < 1e-5
    torch.testing.assert_close(out["more"][1], ann.a(X))  # nothing spikes on the way to it
    assert torch.equal(out["scores"], out["more"][2])
    if how.get("exact"):
        assert done.report.certificate.exact  # type: ignore[union-attr]
    done.save(tmp_path)
    again = load_converted(tmp_path)
    assert again.report == done.report
    for a, b in zip(leaves(again.network({"y": Y, "x": X})), leaves(out)):
        assert torch.equal(a, b)
    for a, b in zip(leaves(copy.deepcopy(done.network)((X, Y))), leaves(out)):
        assert torch.equal(a, b)


def test_biases_of_all_outputs_are_calibrated_once() -> None:
    ann = model()
    on, report = convert(ann, (X, Y), timesteps=2)
    off, _ = convert(ann, (X, Y), timesteps=2, calibrate=())
    wanted = leaves(ann(X, Y))
    for place in range(4):
        bias = (leaves(on((X, Y)))[place] - wanted[place]).mean(0).abs().max()
        assert bias < 1e-5
    assert (leaves(off((X, Y)))[0] - wanted[0]).mean(0).abs().max() > 1e-3
    assert report.output_bias_shift is not None and report.output_bias_shift > 0


def test_any_number_of_arguments() -> None:
    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(4, 6), nn.Linear(3, 6), nn.Linear(2, 6)])

        def forward(self, *inputs: Tensor) -> Tensor:
            return torch.cat([F.relu(layer(x)) for layer, x in zip(self.layers, inputs)], 1)

    torch.manual_seed(0)
    ann, z = Many(), torch.rand(40, 2, generator=torch.Generator().manual_seed(1))
    network, _ = convert(ann, (X, Y, z), timesteps=512, threshold="max", calibrate=())
    wanted = ann(X, Y, z)
    assert (network((X, Y, z)) - wanted).abs().max() < 0.01 * wanted.abs().max()


def test_keyword_only_and_optional_arguments_by_name() -> None:
    class Optional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Linear(4, 6), nn.Linear(3, 6)

        def forward(self, x: Tensor, mask: Tensor | None = None, *, extra: Tensor | None = None) -> Tensor:
            h = self.a(x)
            return F.relu(h if extra is None else h + self.b(extra))

    torch.manual_seed(0)
    ann = Optional()
    network, _ = convert(ann, {"x": X, "extra": Y}, timesteps=512, threshold="max", calibrate=())
    wanted = ann(X, extra=Y)
    assert (network({"x": X, "extra": Y}) - wanted).abs().max() < 0.01 * wanted.abs().max()
    alone, _ = convert(ann, (X, LABELS), timesteps=4)  # one input is needed: the second are labels
    assert alone(X).shape == (40, 6)


def test_audit_fold_and_energy_take_several() -> None:
    ann = model()
    found = audit(ann, (X[:1], Y[:1]))
    assert found.convertible and "add" in [row.name for row in found.rows]
    torch.testing.assert_close(folded(ann, {"x": X, "y": Y})((X, Y))["scores"], ann(X, Y)["scores"])
    network, _ = convert(ann, (X, Y), timesteps=4)
    ledger = Ledger.record(network, (X, Y), input="analog")
    assert ledger["scores"]["synops_binary"] > 0 and ledger["hidden"]["mac_dense"] == 0


@pytest.mark.parametrize(
    ("data", "error", "said"),
    [
        (X, ConversionError, r"needs 2 tensors \(x, y\), and one is given"),
        ({"x": X}, ConversionError, r"inputs are called x, but the forward of Two takes \(x, y, scale"),
        ({"x": X, "z": Y}, ConversionError, "called x, z"),
        (((X,), LABELS), ConversionError, "inputs are 1 tensors"),
        ((X, Y[:3]), CalibrationError, "40 and 3 samples"),
        (((X, Y), LABELS[:7]), None, ""),
        ([X, (X, Y)], ConversionError, "needs 2 tensors"),
        ((X, Y * float("nan")), CalibrationError, "NaN"),
        ((X[:0], Y[:0]), CalibrationError, "no sample"),
        ((X * 0, Y * 0), CalibrationError, "all 40 calibration samples are zero"),
        ([(X, Y), (X, torch.rand(40, 5))], CalibrationError, r"\(\(4,\), \(5,\)\)"),
        ([(X, "y")], CalibrationError, "tuples of 2 tensors"),
        ((X, torch.rand(40, 5)), ConversionError, r"'b' got shapes \[\(2, 5\)\]"),
    ],
)
def test_inputs_that_do_not_fit(data: Any, error: type[Exception] | None, said: str) -> None:
    if error is None:
        assert convert(model(), data, timesteps=2).report.calibration_samples == 40  # labels are not looked at
        return
    with pytest.raises(error, match=said):
        convert(model(), data, timesteps=2)


def test_calls_that_do_not_fit() -> None:
    network, _ = convert(model(), (X, Y), timesteps=2)
    for wrong in (X, (X,), {"x": X, "z": Y}):
        with pytest.raises(ConversionError, match="converted for the inputs x, y"):
            network(wrong)


def test_what_needs_one_output_says_so() -> None:
    with pytest.raises(CalibrationError, match="accuracy of one output"):
        convert(model(), (X, Y), timesteps=2, evaluate=((X, Y), LABELS))
    network, _ = convert(model(), (X, Y), timesteps=2)
    with pytest.raises(ConfigError, match="takes several"):
        early_exit(network, (X, Y))


@pytest.mark.parametrize("form", [((X, Y), LABELS), DataLoader(TensorDataset(X, Y, LABELS), batch_size=7)])
def test_accuracy_with_two_inputs(form: Any) -> None:
    torch.manual_seed(0)
    ann = Scores().eval()
    _, report = convert(ann, (X, Y), timesteps=4, evaluate=form)
    right = float((ann(X, Y).argmax(1) == LABELS).float().mean())
    assert report.accuracy is not None and report.accuracy.samples == 40
    assert report.accuracy.ann == pytest.approx(right)
    assert compare(ann, (X, Y), form, timesteps=[4], methods=["mse + bias"]).ann == pytest.approx(right)


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (lambda x: (x, 3), "int"),
        (lambda x: {1: x}, "keys that are no text"),
        (lambda x: (x, x.shape[0]), "no batch axis"),
        (lambda x: None, "none"),
    ],
)
def test_outputs_that_cannot_be_kept(give: Any, said: str) -> None:
    class Net(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return give(F.relu(x))

    [row] = audit(Net(), torch.zeros(1, 3)).unsupported
    assert "must return tensors" in row.detail and said in row.detail


def test_damaged_structures_are_refused(tmp_path: Path) -> None:
    convert(model(), (X, Y), timesteps=2).save(tmp_path)
    file = tmp_path / "network.json"
    text = file.read_text()
    for old, new in (('"structure":', '"structur":'), ('"list"', '"set"'), ('"tuple": [\n', '"tuple": [ 3,\n')):
        assert old in text
        file.write_text(text.replace(old, new, 1))
        with pytest.raises(CheckpointError):
            load_network(tmp_path)


@pytest.mark.parametrize("x", [(X, Y), {"y": Y, "x": X}])
def test_energy_and_measures_with_two_inputs(x: Any) -> None:
    ann = Scores().eval()
    network, _ = convert(ann, (X, Y), timesteps=4)
    report = energy_report(network, x, input="analog", ann=ann)
    assert report.energy > 0 and report.dense_ann > 0
    with torch.no_grad():
        best = ann(X, Y).argmax(1)
    found = measure(network, (x, best), ann)
    assert found.ann == 1.0 and found.expense is not None and len(found.expense.energy) == 4
    assert measure(network, (x, best), ann, profile=None).snn == found.snn
