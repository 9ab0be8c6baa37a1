import os
import stat

import pytest

from spikesim.errors import ConfigError
from spikesim.viz import write_bytes, write_text


def test_write_text_makes_folders_and_replaces(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_text(path, "old")
    assert write_text(path, "new é") == path
    assert path.read_text(encoding="utf-8") == "new é"
    assert [p.name for p in path.parent.iterdir()] == ["b.txt"]  # no temporary file stays


def test_written_files_have_the_usual_permissions(tmp_path):
    write_bytes(tmp_path / "mine", b"1")
    (tmp_path / "usual").write_bytes(b"1")
    mode = [stat.S_IMODE(os.stat(tmp_path / name).st_mode) for name in ("mine", "usual")]
    assert mode[0] == mode[1]


def test_a_file_in_place_of_the_folder_is_a_readable_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"cannot write .*file/x"):
        write_bytes(tmp_path / "file" / "x", b"1")


def test_a_failed_rename_leaves_nothing_behind(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "inside").write_text("")
    with pytest.raises(ConfigError, match="cannot write"):
        write_bytes(tmp_path / "taken", b"1")
    assert [p.name for p in tmp_path.iterdir()] == ["taken"]
