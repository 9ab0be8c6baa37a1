"""Frames from files, one after the other, by ``imageio`` and NumPy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikesim.datasets.formats.extras import library
from spikesim.errors import MovieError

PICTURE_ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
"""Files that a folder of pictures is made of."""

_UNSAID_MS = 100.0  # what browsers take where a GIF says 0


def imageio() -> Any:
    """The library.

    Raises:
        EventFileError: it is not installed; names the extra.
    """
    return library("imageio.v3", "video", "reading pictures and videos")


@contextmanager
def _opened(path: Path, plugin: str) -> Iterator[Any]:
    """An open file of imageio's."""
    file = imageio().imopen(path, "r", plugin=plugin)
    try:
        yield file
    finally:
        file.close()


def is_picture(path: Path) -> bool:
    """Whether Pillow knows the file, by its content."""
    try:
        with _opened(path, "pillow"):
            return True
    except Exception:  # whatever a decoder makes of an odd file
        return False


def picture_count(path: Path) -> int:
    """How many pictures a file holds.

    Raises:
        MovieError: it is damaged.
    """
    try:
        with _opened(path, "pillow") as file:
            return int(file.properties(index=...).n_images)
    except Exception as error:  # Pillow raises whatever its parsers stumble over
        raise _damaged(path, 0, error) from error


def pictures(path: Path, fps: float | None) -> Iterator[tuple[NDArray[Any], float]]:
    """Yield the pictures of a file, each with its time in seconds.

    Args:
        path: a picture or an animation.
        fps: pictures per second; by default each says how long it lasts.
    """
    count, seconds = 0, 0.0
    try:
        with _opened(path, "pillow") as file:
            for index in range(int(file.properties(index=...).n_images)):
                frame = np.asarray(file.read(index=index))
                yield frame, seconds if fps is None else count / fps
                lasts = file.metadata(index=index, exclude_applied=False).get("duration") or _UNSAID_MS
                seconds += float(lasts) / 1000
                count += 1
    except Exception as error:  # Pillow's, as above
        raise _damaged(path, count, error) from error


def video_size(path: Path) -> tuple[tuple[int, int], int | None, float | None]:
    """Return width and height of a video, its number of frames and frames per second, as far as it says.

    Raises:
        MovieError: it is no video that can be decoded.
    """
    library("av", "video", f"{path}: reading videos")
    try:
        with _opened(path, "pyav") as file:
            properties, metadata = file.properties(index=...), file.metadata(index=...)
    except Exception as error:  # PyAV's own, and whatever imageio makes of an odd file
        raise MovieError(
            f"{path}: neither a picture nor a video that can be decoded ({error}); expected a whole file in a format "
            "that FFmpeg knows, a folder of pictures or an .npy file"
        ) from error
    height, width = properties.shape[1:3]
    fps = metadata.get("fps")
    return (int(width), int(height)), int(properties.n_images) or None, float(fps) if fps else None


def video_frames(path: Path, fps: float) -> Iterator[tuple[NDArray[Any], float]]:
    """Yield the frames of a video, each with its time in seconds at a constant rate."""
    count = 0
    try:
        with _opened(path, "pyav") as file:
            for frame in file.iter():
                yield np.asarray(frame), count / fps
                count += 1
    except Exception as error:  # PyAV's own, which need not be installed here
        raise _damaged(path, count, error) from error


def pictures_in(folder: Path) -> list[Path]:
    """The pictures of a folder in the order of the numbers in their names."""

    def key(path: Path) -> tuple[list[tuple[int, str]], str]:
        found = re.findall(r"[0-9]+|[^0-9]+", path.stem)
        return [(int(part), "") if part.isdecimal() else (-1, part) for part in found], path.name

    return sorted((path for path in folder.iterdir() if path.suffix.lower() in PICTURE_ENDINGS), key=key)


def folder_frames(files: list[Path], fps: float) -> Iterator[tuple[NDArray[Any], float]]:
    """Yield the first picture of each file, with its time in seconds."""
    for count, path in enumerate(files):
        yield next(pictures(path, fps))[0], count / fps


def array_of(path: Path) -> NDArray[Any]:
    """The array of an ``.npy`` file, on disk.

    Raises:
        MovieError: it holds no movie.
    """
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise MovieError(f"{path}: no .npy file that can be read ({error}); expected numpy.save's") from error
    if array.ndim not in (3, 4) or array.size == 0:
        raise MovieError(
            f"{path}: holds an array of shape {array.shape}; expected frames [F, H, W], or [F, H, W, 3] in colour"
        )
    return array


def array_frames(array: NDArray[Any], fps: float) -> Iterator[tuple[NDArray[Any], float]]:
    """Yield the frames of an array, with their times in seconds."""
    for count, frame in enumerate(array):
        yield np.asarray(frame), count / fps


def _damaged(path: Path, frame: int, error: BaseException) -> MovieError:
    return MovieError(f"{path}: frame {frame} cannot be decoded ({error}); expected a whole file")
