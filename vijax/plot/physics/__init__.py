"""Figures of template fits, as particle physicists draw them.

    limits       CLs over the signal strength with its expected bands (Brazil band)
    nuisances    pulls of the nuisance parameters beside their impacts, ranked
    yields       stacked templates before and after the fit, with the data

Each function takes arrays and returns a `Figure`; see `vijax.plot` for the style.
"""

from vijax.plot.physics.limits import brazil_band
from vijax.plot.physics.nuisances import pulls_and_impacts
from vijax.plot.physics.yields import Yields, stacked_yields

__all__ = ["Yields", "brazil_band", "pulls_and_impacts", "stacked_yields"]


def __dir__() -> list[str]:
    return sorted(__all__)
