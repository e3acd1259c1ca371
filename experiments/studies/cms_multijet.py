"""What the columns of CMS multijet events mean: scales, bounds, physics, a toy signal.

The columns are MR, Rsq, HT, MET, nJets, nBJets: four kinematic quantities above zero,
which networks see by their logarithm, and two counts, which have to stay exact.
"""

import jax
import numpy as np

from vijax.types import Key
from vijax.vae.event_tables import Table

LOGARITHM = np.array([True, True, True, True, False, False])
COUNT_BOUND = 0.49  # absolute, so that counts come back exactly
MET_COLUMN, RSQ_COLUMN = 3, 1


def bounds(relative: float, *, counts: float = COUNT_BOUND) -> np.ndarray:
    """Return each column's bound: relative for kinematics, absolute for counts."""
    return np.where(LOGARITHM, relative, counts)


def quantities(table: Table) -> dict[str, np.ndarray]:
    """Return what an analysis makes of the columns: each has errors of several."""
    mr, rsq, ht, met = table[:, :4].T
    return {
        "MR": mr,
        "MET": met,
        "transverse mass MR √Rsq": mr * np.sqrt(rsq),
        "MET / √HT": met / np.sqrt(ht),
    }


def add_invisible(key: Key, events: Table, *, mean_energy: float) -> Table:
    """Give events an invisible particle: the signal that is injected.

    It is a toy that keeps what the detector did to real events. A transverse momentum,
    exponential in size and uniform in azimuth, is added to the missing one. Rsq, which
    is proportional to the missing energy at fixed jets, is scaled with it.

    Args:
        key: for size and azimuth.
        events: (n, 6), the columns of this file.
        mean_energy: mean of the exponential, GeV.
    """
    keys = jax.random.split(key)
    size = mean_energy * np.asarray(jax.random.exponential(keys[0], (len(events),)))
    angle = 2 * np.pi * np.asarray(jax.random.uniform(keys[1], (len(events),)))
    met = events[:, MET_COLUMN]
    changed = np.sqrt(met**2 + size**2 + 2 * met * size * np.cos(angle))
    signal = events.copy()
    signal[:, RSQ_COLUMN] *= changed / met
    signal[:, MET_COLUMN] = changed
    return signal
