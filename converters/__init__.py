"""Convert trained ANNs to spiking networks, and prove what was converted."""

if __name__ == "converters":
    raise ImportError(
        "this folder installs as 'spikesim.converters'; import that name, or start Python outside the repository root"
    )

from spikesim.converters.audit import Audit, AuditRow, audit
from spikesim.converters.convert import Converted, convert, load_converted
from spikesim.converters.folding import folded
from spikesim.converters.histogram import Histogram
from spikesim.converters.report import ConversionReport
from spikesim.converters.thresholds import maximum_threshold, mse_threshold, percentile_threshold
from spikesim.converters.verdicts import Verdict

__all__ = [
    "Audit",
    "AuditRow",
    "ConversionReport",
    "Converted",
    "Histogram",
    "Verdict",
    "audit",
    "convert",
    "folded",
    "load_converted",
    "maximum_threshold",
    "mse_threshold",
    "percentile_threshold",
]
