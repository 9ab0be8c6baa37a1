import json

import numpy as np
import pytest
import torch

from spikesim.errors import ConfigError, DatasetError, DivergenceError
from spikesim.training import EventDataModule, read_config, resume, train
from spikesim.training.metrics_csv import read_metrics
from spikesim.training.pictures import PICTURES


def _curve(folder):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_metrics(folder / "metrics.csv")]


def _weights(folder, name="last"):
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def _equal(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_the_folder_holds_everything(unbroken):
    names = {str(p.relative_to(unbroken.folder)) for p in unbroken.folder.rglob("*") if p.is_file()}
    assert names == {
        "README.md", "config.json", "curves.png", "metrics.csv", "result.json",
        "checkpoints/best.ckpt", "checkpoints/last.ckpt", *PICTURES,
    }  # fmt: skip
    content = json.loads((unbroken.folder / "result.json").read_text())
    assert content["test_accuracy"] == unbroken.test_accuracy
    assert content["split"] == unbroken.split and content["seed"] == 0
    assert "validation accuracy" in content["selection_rule"]
    assert set(content["versions"]) >= {"python", "torch", "spikesim"}
    assert str(unbroken.folder) not in content
    readme = (unbroken.folder / "README.md").read_text()
    assert "spikesim train" in readme and unbroken.split in readme
    assert (unbroken.folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_the_selected_epoch_is_the_best_by_validation(unbroken):
    rows = read_metrics(unbroken.folder / "metrics.csv")
    assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    best = max(rows, key=lambda row: (float(row["val_accuracy"]), -float(row["val_loss"])))
    assert unbroken.best_epoch == int(best["epoch"])
    assert unbroken.val_accuracy == pytest.approx(float(best["val_accuracy"]), abs=1e-5)
    assert unbroken.samples == {"training": 36, "validation": 12, "test": 12}


def test_rates_of_every_spiking_layer_are_logged(unbroken):
    rates = {
        name: value for name, value in read_metrics(unbroken.folder / "metrics.csv")[-1].items() if "rate/" in name
    }
    assert set(rates) == {f"rate/module.features.{index}" for index in (2, 6, 10)}
    assert all(0 <= float(rate) <= 1 for rate in rates.values())
    assert set(unbroken.rates) == {name.removeprefix("rate/") for name in rates}


def test_the_same_seed_gives_the_same_curve_and_another_does_not(unbroken, tiny, tmp_path):
    again = train(tiny)
    assert _curve(again.folder) == _curve(unbroken.folder)
    assert _equal(_weights(again.folder), _weights(unbroken.folder))
    assert again.split == unbroken.split
    other = train(tiny.but(seed=1, out=tmp_path / "other", epochs=1))
    assert _curve(other.folder)[0] != _curve(unbroken.folder)[0]
    assert other.split != unbroken.split


def test_workers_do_not_change_the_curve(unbroken, tiny):
    short = train(tiny.but(workers=1))
    assert _curve(short.folder) == _curve(unbroken.folder)


def test_generators_and_settings_are_left_as_they_were(tiny):
    torch.manual_seed(5)
    np.random.seed(5)
    expected = (torch.rand(1), np.random.rand())
    torch.manual_seed(5)
    np.random.seed(5)
    train(tiny.but(epochs=1))
    assert (torch.rand(1), np.random.rand()) == expected
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_run_is_not_overwritten_and_a_finished_one_is_read_back(unbroken):
    config = read_config(unbroken.folder / "config.json")
    with pytest.raises(ConfigError, match="already holds a run; continue it with"):
        train(config)
    assert resume(unbroken.folder) == unbroken


def test_divergence_is_named_with_a_remedy(tiny):
    with pytest.raises(DivergenceError, match=r"loss became nan in epoch .*try a lower learning rate"):
        train(tiny.but(lr=1e30, warmup=0.0))


def test_missing_recordings_and_unfit_settings_are_named(tiny, tmp_path):
    with pytest.raises(DatasetError, match="no/such/folder"):
        train(tiny.but(data="no/such/folder"))
    with pytest.raises(DatasetError, match="too few to hold out"):
        train(tiny.but(val_fraction=0.001))
    with pytest.raises(ConfigError, match="gives a DigitsCNN; training on events needs a spikesim Network"):
        train(tiny.but(model="digits_cnn"))
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is there")
def test_a_missing_gpu_is_named(tiny):
    with pytest.raises(ConfigError, match="use --device cpu"):
        train(tiny.but(device="cuda"))


def test_what_is_shown_and_priced_is_of_all_classes(tiny):
    data = EventDataModule(tiny)
    data.setup()
    shown = data.test_sample(4).y  # the 12 test recordings stand in the order of their classes
    assert len(shown) == 4 and shown.max() - shown.min() > 5
    assert data.test_sample(99).x.shape[1] == 12
