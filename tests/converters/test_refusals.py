"""Bad input: each mistake gets its own error, which names the place and the remedy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from spikesim.converters import convert
from spikesim.errors import CalibrationError, ConfigError, ConversionError, SpikesimError, TimestepsError
from spikesim.neurons import IF

X = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))


def mlp(*extra: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), *extra, nn.Linear(6, 2))


@pytest.mark.parametrize("activation", [nn.ELU(), nn.LeakyReLU(), nn.Tanh(), nn.Sigmoid(), nn.PReLU()])
def test_other_activations(activation: nn.Module) -> None:
    name = type(activation).__name__
    with pytest.raises(ConversionError, match=rf"{name.lower()}_2 \({name}.*replace it with nn.ReLU"):
        convert(mlp(activation), X, timesteps=4)


def test_all_nodes_are_named_at_once() -> None:
    with pytest.raises(ConversionError, match=r"(?s)2 operations unsupported:.*elu_2.*softmax_3"):
        convert(mlp(nn.ELU(), nn.Softmax(0)), X, timesteps=4)


def test_branch_on_data() -> None:
    class Branch(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.relu() if x.mean() > 0 else x

    with pytest.raises(ConversionError, match=r"test_refusals.py, line \d+: `return x.relu\(\) if x.mean"):
        convert(mlp(Branch()), X, timesteps=4)


def test_no_activation() -> None:
    with pytest.raises(ConversionError, match="no ReLU"):
        convert(nn.Sequential(nn.Linear(4, 2)), X, timesteps=4)


def test_hidden_randomness() -> None:
    class Noisy(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand(1).item()

    with pytest.raises(ConversionError, match="hidden"):
        convert(mlp(Noisy()), X, timesteps=4)


def test_calibration_of_zeros() -> None:
    with pytest.raises(CalibrationError, match="all 5 calibration samples are zero"):
        convert(mlp(), torch.zeros(5, 4), timesteps=4)


def test_layer_that_is_silent_on_the_calibration_data() -> None:
    model = mlp()
    nn.init.constant_(model[0].bias, -100.0)
    with pytest.raises(CalibrationError, match=r"'relu_1' on all 8 calibration samples"):
        convert(model, X, timesteps=4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(bad: float) -> None:
    model = mlp()
    with torch.no_grad():
        model[2].weight[0, :3] = bad
    with pytest.raises(CalibrationError, match=r"'2.weight' \(3 of 12 values\)"):
        convert(model, X, timesteps=4)


def test_running_statistics_that_are_not_finite() -> None:
    norm = nn.BatchNorm1d(6)
    norm.running_mean[0] = float("nan")
    with pytest.raises(CalibrationError, match="running_mean"):
        convert(mlp(norm), X, timesteps=4)


def test_calibration_with_nan() -> None:
    with pytest.raises(CalibrationError, match="NaN or infinity"):
        convert(mlp(), X.masked_fill(X > 0.9, float("nan")), timesteps=4)


def test_activations_that_overflow_name_the_layer() -> None:
    model = mlp()
    nn.init.constant_(model[0].weight, 1.0)
    with pytest.raises(CalibrationError, match="layer 'relu_1'"):
        convert(model, torch.full((2, 4), 3e38), timesteps=4)


@pytest.mark.parametrize("empty", [torch.zeros(0, 4), [], [torch.zeros(0, 4)]])
def test_empty_calibration(empty: object) -> None:
    with pytest.raises(CalibrationError, match="no sample"):
        convert(mlp(), empty, timesteps=4)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [3, ["x"], [{"x": 3}], [torch.tensor(1.0)]])
def test_calibration_of_another_type(bad: object) -> None:
    with pytest.raises(CalibrationError, match="tensor"):
        convert(mlp(), bad, timesteps=4)  # type: ignore[arg-type]


@pytest.mark.parametrize("timesteps", [0, -1, 2.5, True])
def test_timesteps(timesteps: object) -> None:
    with pytest.raises(TimestepsError, match="at least 1"):
        convert(mlp(), X, timesteps=timesteps)  # type: ignore[arg-type]


def test_unknown_settings() -> None:
    with pytest.raises(ConfigError, match="threshold is 'best'"):
        convert(mlp(), X, timesteps=4, threshold="best")
    with pytest.raises(ConfigError, match="threshold is None"):
        convert(mlp(), X, timesteps=4, threshold=None)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="granularity is 'neuron'"):
        convert(mlp(), X, timesteps=4, granularity="neuron")  # type: ignore[arg-type]


def test_half_precision() -> None:
    with pytest.raises(ConversionError, match=r"model\.float"):
        convert(mlp().half(), X, timesteps=4)


def test_calibration_of_another_shape() -> None:
    with pytest.raises(ConversionError, match=r"'linear_0' got shapes"):
        convert(mlp(), torch.rand(3, 5), timesteps=4)


@pytest.mark.parametrize(
    "evaluate", [(X, torch.zeros(7, dtype=torch.long)), [X], [], (X, torch.zeros(8, 2, dtype=torch.long))]
)
def test_unusable_labels(evaluate: object) -> None:
    with pytest.raises(CalibrationError):
        convert(mlp(), X, timesteps=4, evaluate=evaluate)  # type: ignore[arg-type]


def test_errors_are_the_users() -> None:
    assert issubclass(ConversionError, SpikesimError) and issubclass(CalibrationError, ValueError)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "NoneType"),
        (0.5, "float"),
        (torch.ones(5), r"shape \(5,\)"),
        (torch.tensor(1.0), r"shape \(\)"),
        (torch.full((6,), float("nan")), "gives nan"),
        (torch.tensor([1.0, 1, -1, 1, 1, 1]), "gives -1"),
        (torch.zeros(6), "gives 0"),
    ],
)
def test_threshold_functions_that_give_no_thresholds(given: object, said: str) -> None:
    model = mlp()
    nn.init.constant_(model[0].bias, 3.0)
    with pytest.raises(ConfigError, match=rf"layer 'relu_1': the threshold function .*{said}.*expected a tensor"):
        convert(model, X, timesteps=4, threshold=lambda histogram: given)  # type: ignore[arg-type, return-value]


def test_threshold_functions_are_kept_below_the_cap() -> None:
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU6(), nn.Linear(6, 2))
    _, report = convert(model, X, timesteps=4, threshold=lambda h: torch.full((h.channels,), 9.0))
    assert report.layers[0].threshold_max == 6.0


def test_batches_of_another_shape() -> None:
    model = nn.Sequential(nn.Conv1d(1, 2, 3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten())
    first, second = torch.rand(4, 1, 8), torch.rand(4, 1, 9)
    with pytest.raises(CalibrationError, match=r"calibration data hold .* \(1, 9\).* \(1, 8\)"):
        convert(model, [first, second], timesteps=4)
    with pytest.raises(CalibrationError, match=r"evaluation data hold .* \(1, 9\).* \(1, 8\)"):
        convert(model, first, timesteps=4, evaluate=(second, torch.zeros(4, dtype=torch.long)))


@pytest.mark.parametrize("label", [-1, 2, 0.5])
def test_labels_that_no_output_stands_for(label: float) -> None:
    with pytest.raises(CalibrationError, match="whole numbers from 0 to 1"):
        convert(mlp(), X, timesteps=4, evaluate=[(X, torch.full((8,), label))])


def test_evaluation_with_nan() -> None:
    labels = torch.zeros(8, dtype=torch.long)
    with pytest.raises(CalibrationError, match="evaluation inputs hold NaN"):
        convert(mlp(), X, timesteps=4, evaluate=(X.masked_fill(X > 0.9, float("nan")), labels))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_old_weight_norm_names_the_remedy() -> None:
    model = mlp()
    torch.nn.utils.weight_norm(model[0])
    with pytest.raises(ConversionError, match=r"parametrizations\.weight_norm.*remove_weight_norm"):
        convert(model, X, timesteps=4)
    torch.nn.utils.remove_weight_norm(model[0])
    assert convert(model, X, timesteps=4).report.spiking_layers == 1


def test_spiking_models_are_told_so() -> None:
    with pytest.raises(ConversionError, match=r"'2' is a spiking neuron.*give the ANN"):
        convert(mlp(IF()), X, timesteps=4)


def test_timesteps_of_numpy() -> None:
    assert convert(mlp(), X, timesteps=np.int64(3)).report.timesteps == 3  # type: ignore[arg-type]


def test_a_folded_form_of_another_shape_is_a_conversion_error():
    from spikesim.converters.folding import folding_error
    from spikesim.converters.trace import trace

    model, other = nn.Sequential(nn.Linear(4, 3)), trace(nn.Sequential(nn.Linear(4, 2)))
    with pytest.raises(ConversionError, match=r"gives \(5, 2\) where the model gives \(5, 3\)"):
        folding_error(model, other, torch.rand(5, 4))
