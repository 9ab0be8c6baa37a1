from spikesim.viz import png_bytes, surrogate_curves

U = [-1.0, 0.0, 1.0]


def _curves(count):
    names = [f"curve(k={k})" for k in range(count)]
    return {n: [0.0, k + 1.0, 0.0] for k, n in enumerate(names)}, {n: [0.0, 0.5, 1.0] for n in names}


def test_a_few_share_two_panels_beside_the_hard_step():
    derivatives, primitives = _curves(2)
    left, right = surrogate_curves(U, derivatives, primitives).axes
    assert [list(line.get_ydata()) for line in left.get_lines()] == [[0, 1, 0], [0, 2, 0]]
    assert [line.get_label() for line in right.get_lines()] == [*primitives, "spike"]
    assert list(right.get_lines()[-1].get_ydata()) == [0, 1, 1]


def test_many_get_a_panel_each():
    derivatives, primitives = _curves(14)
    figure = surrogate_curves(U, derivatives, primitives)
    assert [axis.get_title() for axis in figure.axes] == [f"curve\n(k={k})" for k in range(14)]
    for k, axis in enumerate(figure.axes):
        assert [list(line.get_ydata()) for line in axis.get_lines()] == [[0, k + 1, 0], [0, 0.5, 1]]
    assert png_bytes(figure).startswith(b"\x89PNG")
