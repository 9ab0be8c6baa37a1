"""Convert trained ANNs to spiking networks, and prove it; take over networks of snnTorch and SpikingJelly."""

if __name__ == "converters":
    raise ImportError(
        "this folder installs as 'spikesim.converters'; import that name, or start Python outside the repository root"
    )

from spikesim.converters.audit import Audit, AuditRow, audit
from spikesim.converters.compare import compare
from spikesim.converters.comparison import Comparison
from spikesim.converters.convert import Converted, convert, load_converted
from spikesim.converters.early_exit import EarlyExit, early_exit
from spikesim.converters.finetune import finetunable
from spikesim.converters.fixed_points import gaussian_threshold, lloyd_threshold, ltb_threshold
from spikesim.converters.folding import folded
from spikesim.converters.histogram import Histogram
from spikesim.converters.measure import measure, measure_early
from spikesim.converters.named_folding import fold_batchnorm
from spikesim.converters.nir_export import to_nir
from spikesim.converters.nir_import import from_nir
from spikesim.converters.policies import NeuronPolicy, neuron_policy
from spikesim.converters.report import ConversionReport
from spikesim.converters.snntorch_network import from_snntorch
from spikesim.converters.spikingjelly_network import from_spikingjelly
from spikesim.converters.thresholds import maximum_threshold, mse_threshold, percentile_threshold
from spikesim.converters.trained import QCFS, SlipReLU, prepare_qcfs
from spikesim.converters.verdicts import Verdict

__all__ = [
    "QCFS",
    "Audit",
    "AuditRow",
    "Comparison",
    "ConversionReport",
    "Converted",
    "EarlyExit",
    "Histogram",
    "NeuronPolicy",
    "SlipReLU",
    "Verdict",
    "audit",
    "compare",
    "convert",
    "early_exit",
    "finetunable",
    "fold_batchnorm",
    "folded",
    "from_nir",
    "from_snntorch",
    "from_spikingjelly",
    "gaussian_threshold",
    "lloyd_threshold",
    "load_converted",
    "ltb_threshold",
    "maximum_threshold",
    "measure",
    "measure_early",
    "mse_threshold",
    "neuron_policy",
    "percentile_threshold",
    "prepare_qcfs",
    "to_nir",
]
