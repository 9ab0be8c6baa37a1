"""Event recordings: containers, files, datasets, frames, splits and batches."""

if __name__ == "datasets":
    raise ImportError(
        "this folder installs as 'spikesim.datasets'; import that name, or start Python outside the repository root"
    )
