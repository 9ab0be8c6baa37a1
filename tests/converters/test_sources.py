"""Every layer of an ANN finds its counterpart in the network that was made of it, whatever it is called there."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikesim.converters import convert, fold_batchnorm, folded, load_converted
from spikesim.energy import energy_report, read_report
from spikesim.models import VisionTransformer

PICTURES = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
TOKENS = torch.rand(8, 3, 4, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """A residual block whose activations are functions."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.c1, self.n1 = nn.Conv2d(inside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside)
        self.c2, self.n2 = nn.Conv2d(outside, outside, 3, padding=1, bias=False), nn.BatchNorm2d(outside)
        self.shortcut = nn.Conv2d(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x):
        return F.relu(self.n2(self.c2(F.relu(self.n1(self.c1(x))))) + self.shortcut(x))


class Functional(nn.Module):
    """Its head is a function of the module itself, so that it has no layer for it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 2, 3, padding=1)
        self.blocks, self.weight = nn.Sequential(Block(2, 2), Block(2, 3)), nn.Parameter(torch.randn(4, 3))

    def forward(self, x):
        return F.linear(self.blocks(F.relu(self.stem(x))).mean((2, 3)), self.weight)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Sequential(nn.GELU(), nn.Linear(4, 3))

    def forward(self, x):
        y = self.norm(x)
        return self.head((x + self.attention(y, y, y, need_weights=False)[0]).mean(1))


class Exported(nn.Module):
    """It insists on a real tensor, so that recording fails and torch.export is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Sequential(nn.Conv2d(1, 2, 3)), nn.Linear(72, 3)

    def forward(self, x):
        assert isinstance(x, torch.Tensor)
        return self.head(nn.Flatten()(nn.ReLU()(self.first(x))))


def vgg():
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU()),
        nn.AvgPool2d(2),
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(3, 2),
    )


NETS = {
    "vgg": (vgg, PICTURES, {}),
    "vgg, exact": (vgg, PICTURES, {"exact": True}),
    "resnet": (Functional, PICTURES, {}),
    "resnet, exact": (Functional, PICTURES, {"exact": True}),
    "vit": (lambda: VisionTransformer(3, 1, 8, 4, 4, 1, 2), PICTURES, {}),
    "attention": (Attention, TOKENS, {}),
    "exported": (Exported, PICTURES, {}),
}


@pytest.fixture(scope="module", params=NETS)
def made(request):
    make, x, options = NETS[request.param]
    torch.manual_seed(0)
    ann = make().eval()
    return ann, convert(ann, x, timesteps=2, calibrate=(), **options), x[:2]


@pytest.mark.parametrize("form", [None, fold_batchnorm, folded])
def test_every_layer_that_multiplies_has_a_counterpart(made, form):
    ann, (network, _), x = made
    baseline = ann if form is None else form(ann, x)
    report = energy_report(network, x, input="analog", ann=baseline)
    counted = report.ann_ledger
    beside = [name for row in report.rows if row.network for name in row.ann_layers]
    assert len(beside) == len(set(beside))
    assert set(beside) >= {name for name, layer in counted.layers.items() if layer["mac_dense"]}
    assert sum(counted[name]["mac_dense"] for name in beside) == counted.total()["mac_dense"] > 0
    # and nothing of the network is lost or counted twice
    assert sorted(name for pair in report.pairs for name in pair.layers) == sorted(report.ledger.layers)
    assert sum(row.network for row in report.rows) == pytest.approx(report.energy)
    assert len({row.layer for row in report.rows}) == len(report.rows)


def test_the_map_outlives_saving(made, tmp_path):
    ann, converted, x = made
    converted.save(tmp_path / "net")
    assert load_converted(tmp_path / "net").network.sources == converted.network.sources != {}
    report = energy_report(converted.network, x, input="analog", ann=ann)
    again = read_report(report.save(tmp_path / "report.json"))
    assert again.rows == report.rows and again.digest == report.digest


def test_the_counterpart_is_the_layer_that_a_layer_was_made_from():
    torch.manual_seed(0)
    ann = Functional().eval()
    network = convert(ann, PICTURES, timesteps=2, calibrate=()).network
    rows = {row.layer: row for row in energy_report(network, PICTURES[:2], input="analog", ann=ann).rows}
    assert rows["blocks_1_shortcut"].ann_layers == ("blocks.1.shortcut",)
    assert rows["(root)"].ann_layers == ("(root)",) and "linear" in rows["(root)"].layers
    assert rows["blocks_0_n1"].layers == ()  # folded away; the ANN is charged for it
    # neurons that stand for functions of a block are rows of their own, beside nothing
    assert [rows[name].ann_layers for name in ("relu", "relu_1")] == [(), ()]


def test_layers_of_a_folder_without_a_map_are_matched_by_name(tmp_path):
    import json

    torch.manual_seed(0)
    ann = nn.Sequential()
    ann.add_module("first", nn.Linear(4, 5))
    ann.add_module("second", nn.ReLU())
    ann.add_module("third", nn.Linear(5, 2))
    convert(ann, TOKENS[:, 0], timesteps=2).save(tmp_path)
    graph = json.loads((tmp_path / "network.json").read_text())
    for node in graph["nodes"]:
        del node["source"]
    (tmp_path / "network.json").write_text(json.dumps(graph))
    network = load_converted(tmp_path).network
    report = energy_report(network, TOKENS[:2, 0], input="analog", ann=ann)
    assert network.sources == {}
    assert [row.ann_layers for row in report.rows if row.ann_layers] == [("first",), ("second",), ("third",)]
