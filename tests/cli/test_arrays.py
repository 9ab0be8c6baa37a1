import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from spikesim.cli.arrays import read_arrays
from spikesim.errors import ConfigError, ShapeError


def test_every_form_gives_the_same(tmp_path):
    x, y = np.random.default_rng(0).random((5, 3)), np.arange(5, dtype=np.int32)
    np.savez(tmp_path / "a.npz", x=x, y=y)
    np.save(tmp_path / "a.npy", x)
    save_file({"x": torch.from_numpy(x), "y": torch.from_numpy(y)}, tmp_path / "a.safetensors")
    expected = torch.from_numpy(x).float()
    for name, labelled in (("a.npz", True), ("a.npy", False), ("a.safetensors", True)):
        found = read_arrays(tmp_path / name)
        assert torch.equal(found.x, expected)
        assert (found.y is not None) == labelled
        if labelled:
            assert found.y.dtype == torch.int64 and found.y.tolist() == [0, 1, 2, 3, 4]


def test_whole_numbers_become_floats(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 2), np.uint8))
    assert read_arrays(tmp_path / "a.npy").x.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", None, "does not exist"),
        ("a.csv", b"1,2", r"given a '.csv' file, expected .npz, .npy or .safetensors"),
        ("a.npz", b"damaged", "cannot be read"),
        ("a.npy", b"damaged", "cannot be read"),
        ("a.safetensors", b"damaged", "cannot be read"),
        ("a.npz", {"images": np.ones((2, 2))}, "holds images; expected an array x"),
        ("a.npz", {"x": np.array([{}], dtype=object)}, "cannot be read"),
        ("a.npz", {"x": np.array(["a", "b"])}, "cannot be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    if isinstance(content, dict):
        np.savez(path, **content)
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_arrays(path)


@pytest.mark.parametrize(
    "arrays", [{"x": np.ones(3)}, {"x": np.ones((3, 2)), "y": np.ones(2)}, {"x": np.ones((3, 2)), "y": np.ones((3, 1))}]
)
def test_shapes_that_do_not_fit_are_named(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ShapeError, match="expected"):
        read_arrays(tmp_path / "a.npz")


def test_labels_that_are_no_classes_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.ones((4, 2)), y=np.random.default_rng(0).random(4))
    with pytest.raises(ShapeError, match="whole numbers"):
        read_arrays(tmp_path / "a.npz")
