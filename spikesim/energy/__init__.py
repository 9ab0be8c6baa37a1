"""Energy: an exact ledger of operations, hardware profiles as data, and reports with honest baselines."""

from spikesim.energy.baselines import relu_twin, time_mean
from spikesim.energy.columns import COLUMNS
from spikesim.energy.compare import energy_report
from spikesim.energy.fanout import fan_out
from spikesim.energy.ledger import LayerCounts, Ledger
from spikesim.energy.pricing import TERMS, Priced, price, price_steps
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
    "Priced",
    "Profile",
    "UpdateMix",
    "energy_report",
    "fan_out",
    "format_energy",
    "load_profile",
    "price",
    "price_steps",
    "profile_names",
    "relu_twin",
    "time_mean",
    "update_mix",
]
