import pytest

PNG = b"\x89PNG\r\n\x1a\n"
NAMES = [
    "ATan",
    "Box",
    "Erf",
    "Exponential",
    "FastSigmoid",
    "Gaussian",
    "LeakyReLU",
    "MultiGaussian",
    "PiecewiseLeakyReLU",
    "PiecewiseQuadratic",
    "S2NN",
    "Sigmoid",
    "StraightThrough",
    "SuperSpike",
    "Triangle",
]


def test_list_shows_every_surrogate_with_its_source(spikesim):
    code, out, _ = spikesim("surrogates", "list")
    assert code == 0
    for name in NAMES:
        assert name in out
    assert "slope=25" in out and "Zenke & Ganguli" in out and "1 / (1 + slope |u|)^2" in out


def test_plot_draws_all_of_them_by_default(spikesim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = spikesim("surrogates", "plot")
    assert code == 0 and out == "14 surrogates drawn in surrogates.png\n"
    assert (tmp_path / "surrogates.png").read_bytes().startswith(PNG)


def test_plot_draws_the_chosen_ones(spikesim, tmp_path):
    output = tmp_path / "new" / "two.png"
    words = ["ATan:alpha=4", "superspike", "SuperSpike", "--output", output, "--range", 3]
    code, out, _ = spikesim("surrogates", "plot", *words)
    assert code == 0 and out.startswith("2 surrogates drawn in ")
    assert output.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    "words,message",
    [
        (["Foo"], f"no surrogate is called 'Foo'; known are {', '.join(NAMES)}"),
        (["ATan:beta=2"], "ATan takes alpha"),
        (["ATan:alpha=-2"], "alpha is -2.0, but it must be positive"),
        (["ATan", "--range", "0"], "--range: given 0, expected a number from 1e-06 to 1e+06"),
        (["ATan", "--range", "nan"], "--range: given nan"),
        (["ATan", "--output", "picture.svg"], "given 'picture.svg', expected a name that ends in .png"),
        (["ATan", "--output", "file/picture.png"], "cannot write file/picture.png"),
    ],
)
def test_wrong_input_is_named(spikesim, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    code, out, error = spikesim("surrogates", "plot", *words)
    assert code == 1 and out == "" and message in error
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("words", [["plot", "--range", "wide"], ["plot", "--nothing"], ["draw"], []])
def test_wrong_usage(spikesim, words):
    assert spikesim("surrogates", *words)[0] == 2
