import pytest

from spikesim.errors import ConfigError, TimestepsError
from spikesim.training import TrainConfig, read_config


def test_json_round_trip(tmp_path):
    config = TrainConfig(data=tmp_path / "recordings", epochs=3, frames="count", threads=2)
    (tmp_path / "config.json").write_text(config.to_json())
    assert read_config(tmp_path / "config.json") == config


def test_but_changes_and_validates():
    config = TrainConfig(data="x")
    assert config.but(lr=0.1).lr == 0.1 and config.lr != 0.1
    with pytest.raises(ConfigError, match="lr: given -1"):
        config.but(lr=-1)


@pytest.mark.parametrize("timesteps", [0, -3])
def test_no_timesteps_is_a_timesteps_error(timesteps):
    with pytest.raises(TimestepsError, match=rf"timesteps: given {timesteps}, .*Frames per recording"):
        TrainConfig(data="x", timesteps=timesteps)


def test_every_problem_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        TrainConfig(epochs=0, colour="red", frames="events", timesteps=0)
    message = str(caught.value)
    for part in (
        "data: missing",
        "epochs: given 0",
        "colour: unknown; known are data",
        "frames: given 'events'",
    ):
        assert part in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        (b"{", "cannot be read as JSON"),
        (b"\xff\xfe", "cannot be read as JSON"),
        (b"[]", "holds a list"),
        (b'{"data": "x", "speed": 3}', "speed: unknown"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, message):
    path = tmp_path / "config.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_config(path)
