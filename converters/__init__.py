"""Convert trained ANNs to spiking networks, and prove what was converted."""

if __name__ == "converters":
    raise ImportError(
        "this folder installs as 'spikesim.converters'; import that name, or start Python outside the repository root"
    )
