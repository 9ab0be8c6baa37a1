"""Movies from files: what is read, at which time, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from spikesim.datasets import simulate_events, simulate_stream
from spikesim.datasets.simulator import movies, open_movie
from spikesim.datasets.simulator.light import linear_picture, resized
from spikesim.errors import ConfigError, EventFileError, MovieError

iio = pytest.importorskip("imageio.v3")

FRAMES = np.random.default_rng(0).integers(0, 256, (7, 12, 16)).astype(np.uint8)


def whole(movie, **options):
    pieces = list(movie.pieces(**options))
    return np.concatenate([frames for frames, _ in pieces]), np.concatenate([times for _, times in pieces])


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_an_array_is_read_as_it_is(tmp_path, colour, dtype):
    array = FRAMES.astype(dtype) / (1 if np.dtype(dtype).kind == "u" else 255)
    array = np.stack([array] * 3, axis=-1) if colour else array
    np.save(tmp_path / "movie.npy", array.astype(dtype))
    movie = open_movie(tmp_path / "movie.npy", fps=200)
    frames, times = whole(movie)
    assert (movie.kind, movie.size, movie.frames, movie.fps) == ("array", (16, 12), 7, 200)
    assert (frames == array.astype(dtype)).all() and frames.dtype == dtype
    assert times.tolist() == [5000 * k for k in range(7)]
    assert whole(movie, speed=0.5)[1].tolist() == [10_000 * k for k in range(7)]


def test_a_folder_comes_in_the_order_of_its_numbers_whatever_is_mixed_in_it(tmp_path):
    for k in range(12):
        frame = FRAMES[k % 7]
        if k == 9:  # with transparency
            frame = np.stack([frame, frame, frame, np.full_like(frame, 9)], axis=-1)
        elif k == 10:
            frame = frame.astype(np.uint16) * 257
        iio.imwrite(tmp_path / f"frame{k}.png", frame)
    (tmp_path / "notes.txt").write_text("not a picture")
    movie = open_movie(tmp_path, fps=10)
    assert (movie.kind, movie.frames, movie.size) == ("folder", 12, (16, 12))
    pieces = list(movie.pieces())
    assert [frames.shape[3:] for frames, _ in pieces] == [(), (3,), (), ()]
    assert [frames.dtype for frames, _ in pieces] == [np.uint8, np.uint8, np.uint16, np.uint8]
    light = np.concatenate([[linear_picture(frame) for frame in frames] for frames, _ in pieces])
    np.testing.assert_allclose(light, [linear_picture(FRAMES[k % 7]) for k in range(12)], atol=1e-12)
    times = np.concatenate([times for _, times in pieces])
    assert times.tolist() == [100_000 * k for k in range(12)]
    events = np.concatenate([part.data for part in simulate_stream(movie.pieces())])
    expected = simulate_events(light, times)
    assert len(events) == len(expected) and abs(events["t"] - expected.t).max() <= 1


def test_an_animation_says_how_long_each_frame_lasts(tmp_path):
    path = tmp_path / "a.gif"
    iio.imwrite(path, FRAMES[:4], duration=[40, 100, 20, 60], loop=0)
    movie = open_movie(path)
    frames, times = whole(movie)
    assert (movie.kind, movie.frames, movie.fps) == ("animation", 4, None)
    assert times.tolist() == [0, 40_000, 140_000, 160_000]
    assert abs(linear_picture(frames[2]) - linear_picture(FRAMES[2])).max() < 0.02
    assert whole(open_movie(path, fps=50))[1].tolist() == [0, 20_000, 40_000, 60_000]


def test_frames_are_brought_to_the_size_asked_for_in_linear_light(tmp_path):
    np.save(tmp_path / "m.npy", FRAMES)
    frames, _ = whole(open_movie(tmp_path / "m.npy"), size=(5, 4))
    expected = resized(np.array([linear_picture(frame) for frame in FRAMES]), 5, 4)
    np.testing.assert_allclose(frames, expected, atol=1e-12)
    straight, _ = whole(open_movie(tmp_path / "m.npy"), encoding="linear")
    np.testing.assert_allclose(straight, FRAMES / 255, atol=1e-15)


def test_pieces_are_bounded_and_the_events_do_not_depend_on_them(tmp_path, monkeypatch):
    np.save(tmp_path / "m.npy", FRAMES)
    movie = open_movie(tmp_path / "m.npy")
    expected = simulate_events(FRAMES, whole(movie)[1])
    monkeypatch.setattr(movies, "_PIECE", 2 * 16 * 12)
    pieces = list(movie.pieces())
    assert [len(frames) for frames, _ in pieces] == [2, 2, 2, 1]
    events = np.concatenate([part.data for part in simulate_stream(pieces)])
    assert (events == expected.data).all()


def test_pictures_of_all_kinds(tmp_path):
    grey = FRAMES[0]
    kinds = {
        "p.png": (grey, linear_picture(grey)),
        "sixteen.png": (grey.astype(np.uint16) * 257, linear_picture(grey)),
        "one.png": (grey > 99, (grey > 99) * 1.0),
        "float.tif": ((grey / 255).astype(np.float32), (grey / 255).astype(np.float32)),
        "colour.bmp": (np.stack([grey] * 3, axis=-1), linear_picture(grey)),
    }
    for name, (content, light) in kinds.items():
        iio.imwrite(tmp_path / name, content)
        movie = open_movie(tmp_path / name)
        assert (movie.kind, movie.frames, movie.size) == ("picture", 1, (16, 12))
        np.testing.assert_allclose(movie.picture(), light, atol=1e-12)


@pytest.mark.parametrize("ending", ["mp4", "webm", "avi"])
def test_a_video_is_read_frame_by_frame(tmp_path, ending):
    pytest.importorskip("av")
    shade = np.repeat(np.linspace(20, 230, 30).astype(np.uint8), 32 * 48 * 3).reshape(30, 32, 48, 3)
    codec = {"mp4": "mpeg4", "webm": "libvpx-vp9", "avi": "mpeg4"}[ending]
    iio.imwrite(tmp_path / f"v.{ending}", shade, fps=25, codec=codec, plugin="pyav")
    movie = open_movie(tmp_path / f"v.{ending}")
    frames, times = whole(movie)
    assert (movie.kind, movie.size, movie.fps) == ("video", (48, 32), 25.0)
    assert frames.shape == (30, 32, 48, 3) and times.tolist() == [40_000 * k for k in range(30)]
    assert abs(frames.astype(int) - shade).max() < 12  # it is lossy
    assert whole(open_movie(tmp_path / f"v.{ending}", fps=100))[1][-1] == 290_000


def test_what_is_missing_damaged_or_still_is_refused(tmp_path):
    with pytest.raises(MovieError, match="no such file"):
        open_movie(tmp_path / "none.gif")
    with pytest.raises(MovieError, match="holds no pictures"):
        open_movie(tmp_path)
    iio.imwrite(tmp_path / "still.png", FRAMES[0])
    for still in (tmp_path / "still.png", tmp_path):
        with pytest.raises(MovieError, match="holds one frame, and nothing changes"):
            list(open_movie(still).pieces())
    iio.imwrite(tmp_path / "still2.png", FRAMES[0, :, :9])
    with pytest.raises(MovieError, match="frame 1 has 9 x 12 pixels, those before it 16 x 12"):
        list(open_movie(tmp_path).pieces())
    content = (tmp_path / "still.png").read_bytes()
    (tmp_path / "half.png").write_bytes(content[: len(content) // 2])
    with pytest.raises(MovieError, match="cannot be decoded"):
        open_movie(tmp_path / "half.png")
    iio.imwrite(tmp_path / "a.gif", FRAMES, duration=40)
    gif = (tmp_path / "a.gif").read_bytes()
    for part in range(1, 12):
        (tmp_path / "half.gif").write_bytes(gif[: len(gif) * part // 12])
        with pytest.raises((MovieError, EventFileError)):
            list(open_movie(tmp_path / "half.gif").pieces())


@pytest.mark.parametrize("content", [b"", b"hello" * 99, b"RIFF\x00\x00\x00\x00AVI ", b"\x00\x00\x00\x18ftypmp42" * 5])
def test_what_no_codec_knows_is_refused(tmp_path, content):
    pytest.importorskip("av")
    (tmp_path / "junk.mp4").write_bytes(content)
    with pytest.raises(MovieError, match="neither a picture nor a video"):
        open_movie(tmp_path / "junk.mp4")


def test_arrays_that_are_no_movies_are_refused(tmp_path):
    path = tmp_path / "m.npy"
    for array, message in (
        (np.zeros(3), r"shape \(3,\)"),
        (np.zeros((0, 4, 5)), r"shape \(0, 4, 5\)"),
        (np.array([None]), "cannot be loaded|no .npy"),
    ):
        np.save(path, array)
        with pytest.raises(MovieError, match=message):
            open_movie(path)
    path.write_bytes(b"\x93NUMPY\x01")
    with pytest.raises(MovieError, match="can be read"):
        open_movie(path)
    for array, message in (
        (np.full((2, 3, 4), np.nan), "intensity nan at x = 0"),
        (np.zeros((2, 3, 4, 5)), "expected .F, H, W"),
        (np.zeros((2, 3, 4), complex), "dtype complex"),
        (np.zeros((1, 3, 4)), "holds one frame"),
    ):
        np.save(path, array)
        with pytest.raises(MovieError, match=message):
            list(open_movie(path).pieces())


def test_rates_and_speeds(tmp_path):
    np.save(tmp_path / "m.npy", FRAMES)
    for fps in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="fps is"):
            open_movie(tmp_path / "m.npy", fps)
    movie = open_movie(tmp_path / "m.npy", 1000)
    for speed in (0, -1, float("nan")):
        with pytest.raises(ConfigError, match="speed is"):
            list(movie.pieces(speed))
    with pytest.raises(ConfigError, match="frames 0 and 1 are both shown at 0 us"):
        list(movie.pieces(5000))


@pytest.mark.parametrize("missing", ["imageio", "av"])
def test_a_missing_library_is_named_with_its_extra(tmp_path, missing):
    (tmp_path / "v.mp4").write_bytes(b"no picture")
    code = (
        f"import sys; sys.modules['{missing}'] = None; sys.modules['{missing}.v3'] = None\n"
        "from spikesim.datasets.simulator import open_movie\n"
        "try: open_movie('v.mp4')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.startswith("EventFileError") and f"needs {missing}" in done.stdout, done.stdout + done.stderr
    assert "pip install 'spikesim[video]'" in done.stdout
