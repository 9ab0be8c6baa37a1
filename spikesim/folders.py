"""Where the package keeps what it can make again: one folder of the user, which one variable moves."""

from __future__ import annotations

import os
from pathlib import Path


def user_cache(part: str) -> Path:
    """The folder of one kind of thing, in ``$SPIKESIM_CACHE_DIR`` or the user's cache folder.

    Args:
        part: what is kept there, such as ``"kernels"``.

    Example:
        >>> from spikesim.folders import user_cache
        >>> user_cache("frames").name
        'frames'
    """
    chosen = os.environ.get("SPIKESIM_CACHE_DIR")
    if not chosen:
        import platformdirs

        chosen = platformdirs.user_cache_dir("spikesim")
    return Path(chosen) / part
