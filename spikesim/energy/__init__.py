"""Energy: an exact ledger of operations, hardware profiles as data, and reports with honest baselines."""

from spikesim.energy.baselines import relu_twin, time_mean
from spikesim.energy.columns import COLUMNS
from spikesim.energy.compare import energy_report
from spikesim.energy.compat import as_lemaire, as_neurobench, as_syops
from spikesim.energy.fanout import fan_out
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.energy.merge import gathered, merged
from spikesim.energy.meter import Meter
from spikesim.energy.pricing import TERMS, Priced, price
from spikesim.energy.profile import EnergyConstant, Profile, load_profile, profile_names
from spikesim.energy.report import EnergyReport
from spikesim.energy.units import format_energy
from spikesim.energy.updates import UpdateMix, update_mix

__all__ = [
    "COLUMNS",
    "TERMS",
    "EnergyConstant",
    "EnergyReport",
    "LayerCounts",
    "Ledger",
    "Meter",
    "Priced",
    "Profile",
    "UpdateMix",
    "as_lemaire",
    "as_neurobench",
    "as_syops",
    "energy_report",
    "fan_out",
    "format_energy",
    "gathered",
    "load_profile",
    "merged",
    "price",
    "profile_names",
    "relu_twin",
    "time_mean",
    "update_mix",
]
