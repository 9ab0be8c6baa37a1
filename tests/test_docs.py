"""Every Python block of README and the guides runs, in order, as a reader would paste it."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

ROOT = Path(__file__).resolve().parents[1]
PAGES = ["README.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]


@pytest.fixture
def names(tmp_path, monkeypatch, request):
    """What the pages take for granted: a small trained-like ANN, its data, and a folder of recordings."""
    from spikesim.datasets import generate_ndigits

    monkeypatch.chdir(tmp_path)
    if "training.md" in request.node.name:
        generate_ndigits("data/ndigits", samples=100)
    images, labels = torch.rand(40, 1, 8, 8), torch.arange(40) % 10
    layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 10)]
    model = nn.Sequential(*layers).eval()
    loader = [(images[:20], labels[:20]), (images[20:], labels[20:])]
    same = {"example": images[:2], "calibration": images, "images": images, "test_loader": loader, "evaluate": loader}
    data = {"x": images, "y": labels, "test_x": images, "test_y": labels}
    data |= {"valid_x": images, "valid_y": labels}
    return {"model": model, "torch": torch, "nn": nn, **same, **data}


@pytest.mark.parametrize("page", PAGES)
def test_the_blocks_run(page, names):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), flags=re.DOTALL)
    for block in blocks:
        exec(compile(block.replace("epochs=25", "epochs=1"), page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / page).read_text()):
        assert target.startswith("http") or ((ROOT / page).parent / target).exists(), target


def test_there_are_blocks():
    assert sum((ROOT / p).read_text().count("```python") for p in PAGES) > 10
