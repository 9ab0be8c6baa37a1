import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from spikesim.errors import CheckpointError
from spikesim.training import load_weights, read_weights


def _model(width=3):
    return nn.Sequential(nn.Linear(2, width), nn.ReLU(), nn.Linear(width, 1))


def _same(left, right):
    return all(torch.equal(a, b) for a, b in zip(left.state_dict().values(), right.state_dict().values()))


@pytest.mark.parametrize("prefix", ["", "network.", "module.", "model.", "net.", "network.module."])
@pytest.mark.parametrize("form", ["safetensors", "state_dict", "checkpoint"])
def test_weights_find_their_place(tmp_path, prefix, form):
    torch.manual_seed(1)
    trained, fresh = _model(), _model()
    tensors = {prefix + name: value for name, value in trained.state_dict().items()}
    path = tmp_path / ("w.safetensors" if form == "safetensors" else "w.pt")
    if form == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors if form == "state_dict" else {"state_dict": tensors, "epoch": 3}, path)
    load_weights(fresh, path)
    assert _same(trained, fresh)


def test_weights_of_the_inner_module_go_into_a_wrapper(tmp_path):
    inner = _model()
    wrapper = nn.ModuleDict({"module": _model()})
    torch.save(inner.state_dict(), tmp_path / "w.pt")
    load_weights(wrapper, tmp_path / "w.pt")
    assert _same(inner, wrapper["module"])


def test_what_does_not_fit_is_named(tmp_path):
    tensors = _model(4).state_dict() | {"extra": torch.zeros(1)}
    del tensors["2.bias"]
    save_file(tensors, tmp_path / "w.safetensors")
    model = _model(3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, tmp_path / "w.safetensors")
    message = str(caught.value)
    assert "missing 2.bias" in message and "unknown extra" in message
    assert "0.weight: the file has [4, 2], the model [3, 2]" in message
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


class _Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from the file was run')",))


def _damaged(kind, path):
    torch.save(_model().state_dict(), path)
    whole = path.read_bytes()
    content = {
        "missing": None,
        "empty": b"",
        "text": b"not a checkpoint at all",
        "truncated": whole[: len(whole) // 2],
        "code": pickle.dumps(_Evil(), protocol=2),
    }[kind]
    path.unlink()
    if content is not None:
        path.write_bytes(content)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
@pytest.mark.parametrize("kind", ["missing", "empty", "text", "truncated", "code"])
def test_a_damaged_file_is_named_and_never_run(tmp_path, kind, suffix):
    path = tmp_path / f"weights{suffix}"
    _damaged(kind, path)
    with pytest.raises(CheckpointError, match=f"weights{suffix}"):
        read_weights(path)


@pytest.mark.parametrize(("content", "message"), [([1, 2], "holds a list"), ({"epoch": 3}, "holds no tensors")])
def test_a_file_of_something_else_is_named(tmp_path, content, message):
    torch.save(content, tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match=message):
        read_weights(tmp_path / "w.pt")
