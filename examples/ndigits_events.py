"""From handwritten digits to batches of event frames, without a download.

Makes 200 N-Digits recordings in a temporary folder, looks at one, frames them all, splits off a
validation part and draws one shuffled epoch. Run: python examples/ndigits_events.py
"""

import tempfile
from pathlib import Path

import numpy as np
from torch.utils.data import Subset

from spikesim.datasets import (
    FrameDataset,
    Frames,
    RandomShift,
    event_loader,
    generate_ndigits,
    load_nmnist,
    random_split,
)

SHADES = np.array(list(" .:*#"))


def draw(counts: np.ndarray) -> str:
    """Counts ``[H, W]`` as characters, darker for more events."""
    level = np.minimum(counts.astype(int), 2 * len(SHADES) - 2) // 2
    return "\n".join("  " + "".join(row) for row in SHADES[level])


def main() -> None:
    """Run the example."""
    with tempfile.TemporaryDirectory() as folder:
        root = generate_ndigits(Path(folder) / "ndigits", samples=200, seed=0)
        train, test = load_nmnist(root)
        events, label = train[0]
        print(f"{len(train)} training and {len(test)} test recordings; the first shows a {label}:\n  {events}")

        framed = FrameDataset(train, Frames(timesteps=10))
        print(f"\nframes {framed.x.shape}, {framed.tally}")
        print("first of 10 time steps, both polarities:")
        print(draw(framed.x[0, 0].sum(0)))

    (fit, validation), name = random_split(framed.labels, (0.9, 0.1), seed=0)
    print(f"\nsplit {name}: {len(fit)} to fit, {len(validation)} to validate")
    loader = event_loader(Subset(framed, fit.tolist()), batch_size=32, shuffle=True, seed=0, augment=RandomShift(2))
    for batch in loader:
        rate = batch.x.float().mean()
        print(f"  x {tuple(batch.x.shape)} {batch.x.dtype}, y {tuple(batch.y.shape)}, {rate:.3f} events a pixel")


if __name__ == "__main__":
    main()
