"""Folding keeps what a model computes, or leaves the norm."""

import pytest
import torch
from torch import nn

from spikesim.converters import fold_batchnorm
from spikesim.errors import ConversionError
from spikesim.models import conv_snn, digits_cnn
from spikesim.neurons import LIF
from spikesim.nn import Network


def _trained_statistics(model):
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            nn.init.uniform_(module.running_mean, -1, 1)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
    return model.eval()


def test_folding_keeps_the_outputs_and_the_model():
    torch.manual_seed(0)
    ann = _trained_statistics(digits_cnn(width=4)).double()
    before = {name: value.clone() for name, value in ann.state_dict().items()}
    x = torch.rand(5, 1, 8, 8, dtype=torch.float64)
    folded = fold_batchnorm(ann, x)
    torch.testing.assert_close(folded(x), ann(x))
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    assert all(torch.equal(before[name], value) for name, value in ann.state_dict().items())


def test_folding_knows_linear_layers_and_leaves_lone_norms():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.BatchNorm1d(4))
    model = _trained_statistics(model).double()
    x = torch.rand(5, 3, dtype=torch.float64)
    folded = fold_batchnorm(model, x)
    torch.testing.assert_close(folded(x), model(x))
    assert [type(m).__name__ for m in folded] == ["BatchNorm1d", "Linear", "Identity", "ReLU", "BatchNorm1d"]


class Residual(nn.Module):
    """Attributes instead of a Sequential; what `reads` is given the layer and its result."""

    def __init__(self, reads=None):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.c2, self.b2 = nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.fc, self.reads = nn.Linear(4 * 64, 5), reads

    def forward(self, x):
        y = self.c1(x)
        x = torch.relu(self.b1(y))
        x = torch.relu(self.b2(self.c2(x)) + x).relu_()
        out = self.fc(x.flatten(1))
        return out if self.reads is None else out + self.reads(self, y)


def _norms(model):
    return [name for name, m in model.named_modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def test_norms_are_found_by_what_they_read():
    torch.manual_seed(0)
    model, x = _trained_statistics(Residual()).double(), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    folded = fold_batchnorm(model, x)
    assert _norms(folded) == []
    torch.testing.assert_close(folded(x), model(x))


@pytest.mark.parametrize(
    "reads",
    [
        lambda m, y: y.mean(),
        lambda m, y: y.detach().sum().item(),
        lambda m, y: m.c1.weight.sum(),
        lambda m, y: m.b1.running_mean.sum(),
        lambda m, y: m.b1(y).mean(),
        lambda m, y: m.c1(torch.ones(1, 1, 8, 8).to(y)).mean(),
        lambda m, y: m.fc(m.c1.weight.data.flatten()[:1].expand(256)).sum(),
    ],
)
def test_a_layer_that_others_read_keeps_its_norm(reads):
    torch.manual_seed(0)
    model, x = _trained_statistics(Residual(reads)).double(), torch.rand(3, 1, 8, 8, dtype=torch.float64)
    folded = fold_batchnorm(model, x)
    assert _norms(folded) == ["b1"]
    torch.testing.assert_close(folded(x), model(x))


def test_a_part_of_a_sequential_may_be_read_from_outside():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.s = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))

        def forward(self, x):
            return self.s(x) + self.s[0](x)

    torch.manual_seed(0)
    model, x = _trained_statistics(Both()), torch.rand(2, 1, 5, 5)
    torch.testing.assert_close(fold_batchnorm(model, x)(x), model(x))


def test_a_norm_along_another_axis_stays():
    torch.manual_seed(0)
    model, x = _trained_statistics(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))), torch.rand(2, 4, 3)
    folded = fold_batchnorm(model, x)
    assert _norms(folded) == ["1"]
    torch.testing.assert_close(folded(x), model(x))
    rows = _trained_statistics(nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3)))
    assert _norms(fold_batchnorm(rows, torch.rand(2, 3))) == ["1"]  # one unbatched sample [C, L]


def test_hooks_and_weight_norm_keep_their_norm():
    torch.manual_seed(0)
    model, x = _trained_statistics(nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))), torch.rand(5, 3)
    model[0].register_forward_hook(lambda m, args, out: out.clamp(max=0.1))
    torch.testing.assert_close(fold_batchnorm(model, x)(x), model(x))
    assert _norms(fold_batchnorm(model, x)) == ["1"]
    other = nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), nn.BatchNorm1d(4)).eval()
    assert _norms(fold_batchnorm(other, x)) == ["1"]


def test_a_spiking_network_is_folded_layer_by_layer():
    torch.manual_seed(0)
    network = _trained_statistics(conv_snn(width=4, size=8)).double()
    x = torch.randint(0, 3, (4, 2, 2, 8, 8)).double()
    folded = fold_batchnorm(network, x)
    assert _norms(folded) == [] and len(_norms(network)) == 3
    torch.testing.assert_close(folded(x), network(x))
    direct = Network(ReadTwice().double().eval())
    assert _norms(fold_batchnorm(direct, torch.rand(3, 2, 4).double())) == ["module.norm"]


class ReadTwice(nn.Module):
    """A neuron reads the result of the layer too."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm, self.a, self.b = nn.Linear(4, 3), nn.BatchNorm1d(3), LIF(), LIF()

    def forward(self, x):
        y = self.layer(x)
        return torch.cat([self.b(self.norm(y)), self.a(y)], 1)


class TwoNorms(nn.Module):
    """Two norms read one result."""

    def __init__(self):
        super().__init__()
        self.layer, self.neuron = nn.Linear(4, 3), LIF()
        self.norms = nn.ModuleList([nn.BatchNorm1d(3), nn.BatchNorm1d(3)])

    def forward(self, x):
        y = self.layer(x)
        return self.neuron(self.norms[0](y) + self.norms[1](y))


def test_two_norms_of_one_layer_stay():
    assert len(_norms(fold_batchnorm(Network(TwoNorms()), torch.rand(3, 2, 4)))) == 2


def test_random_forwards_are_compared_with_the_same_numbers():
    class Noisy(nn.Sequential):
        def forward(self, x):
            return super().forward(x) + torch.rand(())

    torch.manual_seed(0)
    assert _norms(fold_batchnorm(Noisy(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.rand(5, 3))) == []


def test_hidden_effects_are_refused():
    class Counting(nn.Sequential):
        calls = 0

        def forward(self, x):
            Counting.calls += 1
            return super().forward(x) * Counting.calls

    with pytest.raises(ConversionError, match="hidden effects"):
        fold_batchnorm(Counting(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.rand(5, 3))


def test_what_cannot_be_traced_is_refused_by_name():
    class Branch(nn.Sequential):
        def forward(self, x):
            return super().forward(x) if x.mean() > 0 else x

    with pytest.raises(ConversionError, match=r"x\.mean"):
        fold_batchnorm(Branch(nn.Linear(3, 4), nn.BatchNorm1d(4)), torch.rand(5, 3))


def test_layers_that_share_their_weight_keep_their_norms():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.norm = nn.Linear(3, 3), nn.Linear(3, 3), nn.BatchNorm1d(3)
            self.b.weight = self.a.weight

        def forward(self, x):
            return self.b(self.norm(self.a(x)))

    torch.manual_seed(0)
    model, x = _trained_statistics(Tied()), torch.rand(5, 3)
    assert _norms(fold_batchnorm(model, x)) == ["norm"]
    torch.testing.assert_close(fold_batchnorm(model, x)(x), model(x))
