"""``spikesim datasets cache info | verify | clear``."""

import json

import pytest

from spikesim.datasets import CachedFrames, Frames, load


@pytest.fixture
def root(tmp_path, recordings):
    """A cache with two entries."""
    train = load("nmnist", recordings)
    for timesteps in (2, 3):
        CachedFrames(train, Frames(timesteps), root=tmp_path / "cache")
    return tmp_path / "cache"


def damage(root):
    file = sorted(root.glob("*/frames.raw"))[0]
    content = bytearray(file.read_bytes())
    content[99] ^= 1
    file.write_bytes(content)
    return file.parent.name


def test_info_lists_what_is_kept(spikesim, root, tmp_path, monkeypatch):
    code, shown, _ = spikesim("datasets", "cache", "info", "--root", root, "--json", tmp_path / "info.json")
    found = json.loads((tmp_path / "info.json").read_text())
    assert code == 0 and "2 entries" in shown and str(root) in shown and "Frames" in shown
    assert {entry["steps"] for entry in found["entries"]} == {96, 144} and found["schema"] == 1
    assert all(entry["damage"] == "" and entry["account"][0]["recordings"] == 48 for entry in found["entries"])
    monkeypatch.setenv("SPIKESIM_CACHE_DIR", str(tmp_path / "empty"))
    code, shown, _ = spikesim("datasets", "cache", "info")
    assert code == 0 and shown.startswith("0 entries, 0 B, in") and str(tmp_path / "empty" / "frames") in shown


def test_verify_finds_damage_and_exits_with_3(spikesim, root, tmp_path):
    code, shown, _ = spikesim("datasets", "cache", "verify", "--root", root)
    assert code == 0 and "2 entries as they were written" in shown
    name = damage(root)
    code, shown, error = spikesim("datasets", "cache", "verify", "--root", root, "--json", tmp_path / "v.json")
    assert code == 3 and name[:12] in shown
    assert f"{name[:12]}: frames.raw differs from its checksum" in error and "cache clear --damaged" in error
    damages = {entry["key"]: entry["damage"] for entry in json.loads((tmp_path / "v.json").read_text())["entries"]}
    assert damages.pop(name) == "frames.raw differs from its checksum" and list(damages.values()) == [""]
    assert spikesim("datasets", "cache", "clear", "--damaged", "--root", root)[1].startswith("deleted 1 entries")
    assert spikesim("datasets", "cache", "verify", "--root", root)[0] == 0


def test_clear_deletes_all_but_what_is_in_use(spikesim, root, recordings):
    used = CachedFrames(load("nmnist", recordings), Frames(2), root=root)
    code, shown, _ = spikesim("datasets", "cache", "clear", "--root", root)
    assert code == 0 and "deleted 1 entries" in shown and "1 in use stayed" in shown and used.path.exists()
    code, shown, _ = spikesim("datasets", "cache", "clear", "--root", root, "--force")
    assert code == 0 and "deleted 1 entries" in shown and not used.path.exists()
    assert "deleted 0 entries, 0 B" in spikesim("datasets", "cache", "clear", "--root", root / "nowhere")[1]
