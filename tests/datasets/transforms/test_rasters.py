"""Transforms that also take frames, as Tonic's do."""

import numpy as np
import pytest
import tonic
import torch

from spikesim.datasets import transforms as T
from spikesim.errors import EventError


def frames(*shape):
    return np.random.default_rng(0).integers(0, 5, shape).astype(np.uint8)


@pytest.mark.parametrize("shape", [(2, 6, 7), (4, 2, 6, 7)])
def test_given_pixels_as_in_tonic_without_writing_into_the_input(shape):
    raster = frames(*shape)
    before = raster.copy()
    counted = T.DropPixel([(3, 4), (6, 0)]).counted(raster)
    assert np.array_equal(raster, before) and counted.result.dtype == raster.dtype
    assert np.array_equal(counted.result, tonic.transforms.DropPixel([(3, 4), (6, 0)])(raster.copy()))
    assert counted.events == raster.sum() == counted.kept + counted.dropped["pixel"]
    assert T.DropPixel([(30, 4)])(raster).sum() == raster.sum()  # no such pixel


def test_random_pixels_are_the_same_in_every_frame():
    raster = np.ones((4, 2, 20, 30), np.uint8)
    found = T.RandomDropPixel(0.3, seed=0)(raster)
    assert (found == found[0, 0]).all() and 0.6 < found.mean() < 0.8 and raster.all()


@pytest.mark.parametrize("shape", [(4, 2, 9), (4, 2, 6, 7)])
def test_time_reversal_is_tonics(shape):
    raster = frames(*shape)
    found = T.RandomTimeReversal(1.0)(raster)
    assert np.array_equal(found, tonic.transforms.RandomTimeReversal(1.0)(raster))
    assert torch.from_numpy(found).shape == shape
    # Tonic exchanges the polarities of frames also where it is told not to.
    assert np.array_equal(T.RandomTimeReversal(1.0, flip_polarities=False)(raster), raster[::-1])
    assert np.array_equal(T.RandomTimeReversal(0.0)(raster), raster)


def test_refusals():
    for transform in (T.DropPixel([(1, 1)]), T.RandomDropPixel(0.5), T.RandomTimeReversal(1.0)):
        for shape in ((), (5,), (3, 4), (1, 2, 3, 4, 5)):
            with pytest.raises(EventError, match="frames are of shape"):
                transform(np.zeros(shape))
    with pytest.raises(EventError, match="needs events, not frames"):
        T.DropPixel(hot_pixel_frequency=5)(frames(2, 3, 4))
    with pytest.raises(EventError, match="RandomFlipLR was given an array of dtype"):
        T.RandomFlipLR(p=1.0)(frames(2, 3, 4))  # nor does Tonic take frames here
