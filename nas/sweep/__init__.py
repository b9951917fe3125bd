"""Sweeps: the search of one run, made many times with other seeds, limits and strategies, and what came of each.

``nas.run_sweep`` makes one.
"""

from nas.sweep.plan import SweepSection, Trial, load_sweep, make_trials
from nas.sweep.results import Results

__all__ = ["Results", "SweepSection", "Trial", "load_sweep", "make_trials"]
