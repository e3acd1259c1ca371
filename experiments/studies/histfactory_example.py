"""The example that comes with HistFactory: two bins, a signal and two backgrounds.

Numbers of ROOT's tutorial `hf001_example` and of the input that `prepareHistFactory`
writes for it (Cranmer, Lewis, Moneta, Shibata & Verkerke 2012, CERN-OPEN-2012-016;
also in pyhf's documentation). The tutorial holds the luminosity and the signal's
efficiency, syst1, constant; here they are as uncertain as it says.
"""

from typing import Any

OBSERVED = (122.0, 112.0)
CHANNEL = "channel1"
STRENGTH = "SigXsecOverSM"


def workspace() -> dict[str, Any]:
    """Return the example as a HistFactory workspace."""
    signal = {
        "name": "signal",
        "data": [20.0, 10.0],
        "modifiers": [
            {"name": STRENGTH, "type": "normfactor", "data": None},
            _scale("syst1"),
        ],
    }
    backgrounds = [
        _background("background1", [100.0, 0.0], [5.0, 0.0], "syst2"),
        _background("background2", [0.0, 100.0], [0.0, 10.0], "syst3"),
    ]
    luminosity = {
        "name": "lumi",
        "auxdata": [1.0],
        "sigmas": [0.1],
        "bounds": [[0.5, 1.5]],
        "inits": [1.0],
    }
    strength = {"name": STRENGTH, "bounds": [[0.0, 3.0]], "inits": [1.0]}
    return {
        "channels": [{"name": CHANNEL, "samples": [signal, *backgrounds]}],
        "observations": [{"name": CHANNEL, "data": list(OBSERVED)}],
        "measurements": [
            {
                "name": "measurement",
                "config": {"poi": STRENGTH, "parameters": [luminosity, strength]},
            }
        ],
        "version": "1.0.0",
    }


def _background(
    name: str, counts: list[float], errors: list[float], systematic: str
) -> dict[str, Any]:
    return {
        "name": name,
        "data": counts,
        "modifiers": [
            {"name": "lumi", "type": "lumi", "data": None},
            {"name": f"staterror_{CHANNEL}", "type": "staterror", "data": errors},
            _scale(systematic),
        ],
    }


def _scale(name: str) -> dict[str, Any]:
    """A normalisation known to 5 %."""
    return {"name": name, "type": "normsys", "data": {"lo": 0.95, "hi": 1.05}}
