"""Movies from files, a piece at a time: videos, animations, folders of pictures and arrays."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.simulator import reading
from spikesim.datasets.simulator.light import Encoding, as_light, check_frames, resized
from spikesim.errors import ConfigError, EventError, MovieError

logger = logging.getLogger("spikesim.datasets.simulator")

Kind = Literal["video", "animation", "picture", "folder", "array"]

DEFAULT_FPS = 30.0
"""Frames per second of what does not say it itself: pictures in a folder, and arrays."""

_PIECE = 2**22  # pixels of all frames that are in memory at a time


@dataclass(frozen=True)
class Movie:
    """A file or folder that holds frames; from :func:`open_movie`.

    Attributes:
        path: where it is.
        kind: what it is.
        size: width and height of its frames.
        frames: how many there are; ``None`` if only reading them all tells.
        fps: frames per second; ``None`` if each frame says how long it lasts.
        read: yields each frame, as it is in the file, and its time in seconds.
    """

    path: Path
    kind: Kind
    size: tuple[int, int]
    frames: int | None
    fps: float | None
    read: Callable[[], Iterator[tuple[NDArray[Any], float]]]

    def pieces(
        self, speed: float = 1.0, size: tuple[int, int] | None = None, encoding: Encoding = "auto"
    ) -> Generator[tuple[NDArray[Any], NDArray[np.int64]], None, None]:
        """Yield frames and their times in microseconds, for :func:`~spikesim.datasets.simulate_stream`.

        A bounded number of frames is in memory at a time. Frames of another size or encoding than their own come as
        linear light.

        Args:
            speed: how many times faster than it says the movie is shown.
            size: width and height to bring the frames to; their own by default.
            encoding: what the numbers mean: ``"srgb"`` codes, ``"linear"`` light, or ``"auto"``: sRGB if they are
                uint8 or uint16.

        Raises:
            MovieError: the file is damaged, its frames change their size, or there is only one.
            ConfigError: ``speed`` is no speed, or so high that frames meet in one microsecond.
        """
        if not (np.isfinite(speed) and speed > 0):
            raise ConfigError(f"speed is {speed!r}; expected more than 0, such as 0.1 for slow motion")
        held: list[NDArray[Any]] = []
        times: list[int] = []
        count, last = 0, -1
        for raw, seconds in self.read():
            frame = self._checked(raw, count)
            time = round(seconds * 1e6 / speed)
            if time <= last:
                raise ConfigError(
                    f"{self.path}: frames {count - 1} and {count} are both shown at {time} us; expected fewer frames "
                    "per second or a lower speed"
                )
            # A piece holds frames of one kind; a folder may mix them.
            other = bool(held) and (frame.shape != held[-1].shape or frame.dtype != held[-1].dtype)
            if other or len(held) * self.size[0] * self.size[1] >= _PIECE:
                yield self._light(held, size, encoding), np.array(times, np.int64)
                held, times = [], []
            held.append(frame)
            times.append(time)
            count, last = count + 1, time
        if self.kind == "video" and self.frames is not None and count < self.frames:
            logger.warning("%s says that it has %d frames; %d could be decoded", self.path, self.frames, count)
        if count < 2:
            raise MovieError(
                f"{self.path}: holds {'one frame' if count else 'no frame'}, and nothing changes in it; expected a "
                "movie, or a picture that is moved (saccade, translate, rotate)"
            )
        yield self._light(held, size, encoding), np.array(times, np.int64)

    def picture(self, encoding: Encoding = "auto") -> NDArray[np.float64]:
        """Return the linear light ``[H, W]`` of the first frame.

        Args:
            encoding: as :meth:`pieces`.

        Raises:
            MovieError: it is damaged, or there is none.
        """
        for raw, _ in self.read():
            frame = self._checked(raw, 0)[None]
            return as_light(self._numbers(frame, encoding), encoding).linear()[0]
        raise MovieError(f"{self.path}: holds no frame")

    def _checked(self, frame: NDArray[Any], number: int) -> NDArray[Any]:
        """A frame without transparency, of the size that all have."""
        if frame.ndim == 3 and frame.shape[2] in (2, 4):
            frame = frame[..., : frame.shape[2] - 1]
        if frame.ndim == 3 and frame.shape[2] == 1:
            frame = frame[..., 0]
        if frame.shape[1::-1] != self.size:
            raise MovieError(
                f"{self.path}: frame {number} has {frame.shape[1]} x {frame.shape[0]} pixels, those before it "
                f"{self.size[0]} x {self.size[1]}; expected frames of one size"
            )
        return frame

    def _light(self, held: list[NDArray[Any]], size: tuple[int, int] | None, encoding: Encoding) -> NDArray[Any]:
        frames = self._numbers(np.stack(held), encoding)
        same = size is None or size == self.size
        if encoding == "auto" and same:
            return frames
        light = as_light(frames, encoding).linear()
        return light if size is None or same else resized(light, *size)

    def _numbers(self, frames: NDArray[Any], encoding: Encoding) -> NDArray[Any]:
        try:
            return check_frames(frames, encoding)
        except EventError as error:
            raise MovieError(f"{self.path}: {error}") from error


def open_movie(path: str | os.PathLike[str], fps: float | None = None) -> Movie:
    """Look at a movie: a video, an animation, a picture, a folder of pictures, or an ``.npy`` file.

    Videos are taken to have a constant frame rate. Pictures of a folder come in the order of the numbers in their
    names.

    Args:
        path: the file or folder; an array ``[F, H, W]``, or ``[F, H, W, 3]`` in colour.
        fps: frames per second; by default what the file says, or 30 if it says nothing.

    Raises:
        MovieError: nothing is there, or nothing that can be decoded.
        ConfigError: ``fps`` is no frame rate.
        EventFileError: ``imageio`` or ``av`` is not installed; the message names the extra.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from spikesim.datasets.simulator import open_movie
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/movie.npy", np.zeros((50, 20, 30), np.uint8))
        ...     movie = open_movie(f"{folder}/movie.npy", fps=100)
        ...     movie.kind, movie.size, movie.frames, [times[-1] for _, times in movie.pieces()]
        ('array', (30, 20), 50, [np.int64(490000)])
    """
    place = Path(path)
    if fps is not None and not (np.isfinite(fps) and fps > 0):
        raise ConfigError(f"fps is {fps!r}; expected more than 0 frames per second")
    if not place.exists():
        raise MovieError(f"{place}: no such file or folder; expected a video, a picture, a folder of them or .npy")
    if place.suffix.lower() == ".npy" and place.is_file():
        array, rate = reading.array_of(place), fps or DEFAULT_FPS
        size = int(array.shape[2]), int(array.shape[1])
        return Movie(place, "array", size, len(array), rate, partial(reading.array_frames, array, rate))
    reading.imageio()  # its absence is no damage of the file
    if place.is_dir():
        return _folder(place, fps or DEFAULT_FPS)
    if reading.is_picture(place):
        count = reading.picture_count(place)
        first, _ = next(reading.pictures(place, fps))
        kind: Kind = "animation" if count > 1 else "picture"
        return Movie(place, kind, _size(first), count, fps, partial(reading.pictures, place, fps))
    size, frames, says = reading.video_size(place)
    if fps is None and says is None:
        raise MovieError(f"{place}: the video does not say how many frames per second it has; pass fps")
    rate = fps or says or DEFAULT_FPS
    return Movie(place, "video", size, frames, rate, partial(reading.video_frames, place, rate))


def _folder(place: Path, fps: float) -> Movie:
    files = reading.pictures_in(place)
    if not files:
        raise MovieError(f"{place}: holds no pictures; expected files that end in {', '.join(reading.PICTURE_ENDINGS)}")
    first, _ = next(reading.pictures(files[0], fps))
    return Movie(place, "folder", _size(first), len(files), fps, partial(reading.folder_frames, files, fps))


def _size(frame: NDArray[Any]) -> tuple[int, int]:
    return int(frame.shape[1]), int(frame.shape[0])
