"""``python -m spikesim.cli`` does what ``spikesim`` does."""

from spikesim.cli import main

main()
