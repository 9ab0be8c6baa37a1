"""Pictures of what a classifier does."""

import numpy as np
import pytest

from spikesim.errors import ConfigError, ShapeError
from spikesim.viz import confusion_matrix, firing_rates, png_bytes, predictions


def test_many_classes_are_drawn_without_numbers():
    figure = confusion_matrix(np.eye(40, dtype=int), [f"class {k}" for k in range(40)])
    assert not figure.axes[0].texts and len(figure.axes[0].get_xticks()) == 40
    assert png_bytes(figure).startswith(b"\x89PNG")


def test_a_class_without_samples_is_an_empty_row():
    figure = confusion_matrix([[0, 0], [1, 3]], ["a", "b"])
    assert figure.axes[0].get_images()[0].get_array().tolist() == [[0, 0], [0.25, 0.75]]


def test_empty_frames_and_one_polarity_can_be_drawn():
    figure = predictions(np.zeros((3, 1, 5, 5)), ["a"] * 3, ["b"] * 3, [0.1, 0.2, 0.3])
    assert figure.axes[0].get_title() == "b (10 %), is a"
    assert png_bytes(figure)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: confusion_matrix([[1, 2]], ["a", "b"]), ShapeError),
        (lambda: firing_rates({}), ConfigError),
        (lambda: predictions(np.zeros((0, 2, 3, 3)), [], [], []), ShapeError),
        (lambda: predictions(np.zeros((2, 3, 3)), ["a"], ["a"], [1.0]), ShapeError),
        (lambda: predictions(np.zeros((2, 1, 3, 3)), ["a"], ["a", "b"], [1.0, 1.0]), ShapeError),
    ],
)
def test_what_does_not_fit_is_refused(make, error):
    with pytest.raises(error):
        make()
