"""Energy: an exact ledger of operations, hardware profiles as data, and reports with honest baselines."""

from spikesim.energy.across import Elsewhere
from spikesim.energy.baselines import relu_twin, time_mean
from spikesim.energy.breakeven import BreakEven
from spikesim.energy.budget import Budget, Measured, Trial, energy_budget
from spikesim.energy.columns import COLUMNS
from spikesim.energy.compare import energy_report
from spikesim.energy.compat import as_lemaire, as_neurobench, as_syops
from spikesim.energy.diff import EnergyDiff, LayerChange, energy_diff
from spikesim.energy.fanout import fan_out
from spikesim.energy.figures import EnergyConstant, MemoryTier, PowerConstant
from spikesim.energy.included import Included
from spikesim.energy.layer_counts import LayerCounts
from spikesim.energy.ledger import Ledger
from spikesim.energy.merge import gathered, merged
from spikesim.energy.meter import Meter
from spikesim.energy.over_time import price_steps
from spikesim.energy.pricing import TERMS, Priced, price
from spikesim.energy.profile import Profile, load_profile, profile_names
from spikesim.energy.quantised import matched_bits
from spikesim.energy.reference import Reference, load_reference, reference_names
from spikesim.energy.report import EnergyReport
from spikesim.energy.rows import EnergyRow, energy_rows
from spikesim.energy.saved import read_report
from spikesim.energy.shapes import LayerShape
from spikesim.energy.synaptic_operations import SynapticOperations
from spikesim.energy.uncertainty import Spread, Uncertainty
from spikesim.energy.units import format_energy
from spikesim.energy.updates import UpdateMix, update_mix

__all__ = [
    "COLUMNS",
    "TERMS",
    "BreakEven",
    "Budget",
    "Elsewhere",
    "EnergyConstant",
    "EnergyDiff",
    "EnergyReport",
    "EnergyRow",
    "Included",
    "LayerChange",
    "LayerCounts",
    "LayerShape",
    "Ledger",
    "Measured",
    "MemoryTier",
    "Meter",
    "PowerConstant",
    "Priced",
    "Profile",
    "Reference",
    "Spread",
    "SynapticOperations",
    "Trial",
    "Uncertainty",
    "UpdateMix",
    "as_lemaire",
    "as_neurobench",
    "as_syops",
    "energy_budget",
    "energy_diff",
    "energy_report",
    "energy_rows",
    "fan_out",
    "format_energy",
    "gathered",
    "load_profile",
    "load_reference",
    "matched_bits",
    "merged",
    "price",
    "price_steps",
    "profile_names",
    "read_report",
    "reference_names",
    "relu_twin",
    "time_mean",
    "update_mix",
]
