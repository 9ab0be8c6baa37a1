"""The wheel holds everything, and imports from an empty folder outside the repository."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = ["pyproject.toml", "README.md", "LICENSE", "spikesim", "converters", "datasets"]
    # A copy, so that building never leaves files in the checkout.
    subprocess.run(["cp", "-r", *(str(ROOT / n) for n in names), str(source)], check=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(source)]
    result = subprocess.run(build, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return next(out.glob("*.whl"))


def _python_files():
    for top in ("spikesim", "converters", "datasets"):
        for path in (ROOT / top).rglob("*.py"):
            relative = path.relative_to(ROOT)
            yield str(relative if top == "spikesim" else Path("spikesim") / relative)


def test_the_wheel_holds_every_module_and_data_file(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    data = ("py.typed", "energy/profiles/horowitz45-fp32.toml", "energy/page/template.html", "energy/page/pricing.js")
    expected = {*_python_files(), *(f"spikesim/{name}" for name in data)}
    assert expected <= inside
    assert not [n for n in inside if n.startswith(("tests/", "converters/", "datasets/"))]


def test_every_module_imports_from_an_empty_place(wheel, tmp_path):
    target = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(wheel)]
    subprocess.run(install, check=True)
    modules = sorted(
        n.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for n in _python_files()
        if "__main__" not in n
    )
    code = (
        "import importlib, json, sys\n"
        f"for name in {json.dumps(modules)}: importlib.import_module(name)\n"
        "import spikesim, spikesim.datasets\n"
        "print(json.dumps([spikesim.__file__, spikesim.datasets.__file__]))"
    )
    # -S and an explicit path: an editable install of this checkout must not answer instead.
    site = [p for p in sys.path if p.endswith("site-packages")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(target), *site])}
    run = [sys.executable, "-S", "-c", code]
    result = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert all(f.startswith(str(target)) for f in json.loads(result.stdout.splitlines()[-1]))


@pytest.mark.parametrize("name", ["converters", "datasets"])
def test_bare_names_refuse_to_be_imported(name):
    result = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 1
    assert f"installs as 'spikesim.{name}'" in result.stderr


def test_importing_spikesim_is_cheap():
    """Heavy libraries wait until they are used, also once a neuron has been built."""
    heavy = {"lightning", "tonic", "plotly", "matplotlib", "snntorch", "sklearn"}
    code = f"import sys; from spikesim import LIF, Network; Network(LIF()); print(sorted({heavy} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
