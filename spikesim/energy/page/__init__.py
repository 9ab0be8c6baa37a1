"""The page of a report: HTML, style and scripts, which :mod:`spikesim.energy.html` puts into one file."""
