"""Events of particle and astroparticle physics as tables, from a folder.

`magic`: 19,020 air showers as the MAGIC Cherenkov telescope would see them (simulated),
    each by ten parameters of its image. Label 1: gamma (12,332), 0: hadron (6,688).
    File `magic04.data`, UCI Machine Learning Repository, doi:10.24432/C52C8B.
`cms_multijet`: 68,247 multijet events that CMS recorded in 2010, by their razor
    variables. File `MultiJetRun2010B.csv`, CERN Open Data.
`zmumu`: 10,583 candidates of Z → μμ that CMS recorded in 2011, two muons each.
    File `Zmumu_Run2011A.csv`, CERN Open Data.

All are float64 of shape (n, features) in the units that `feature_names` states. Run and
event numbers are left out. A fifth of the events, the same each time, is the test part.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from vijax.data.dataset import Dataset, hold_out
from vijax.data.files import text_table


class Source(NamedTuple):
    """One published table."""

    folder: str
    file: str
    num_events: int
    columns: dict[str, str | None]  # name in the file -> name with unit; None: left out


def _muon(index: int) -> dict[str, str | None]:
    return {
        f"pt{index}": f"pt{index} [GeV]",  # transverse momentum
        f"eta{index}": f"eta{index}",  # pseudorapidity
        f"phi{index}": f"phi{index} [rad]",  # azimuth
        f"Q{index}": f"Q{index} [e]",  # charge
        f"dxy{index}": f"dxy{index} [cm]",  # transverse impact parameter
        f"iso{index}": f"iso{index} [GeV]",  # sum of the tracks' pt in a cone of 0.3
    }


SOURCES = {
    "magic": Source(
        "magic",
        "magic04.data",
        19_020,
        {
            "0": "length [mm]",  # axes of the ellipse
            "1": "width [mm]",
            "2": "size [log10 photons]",
            "3": "conc",  # share of the two brightest pixels
            "4": "conc1",  # share of the brightest pixel
            "5": "asym [mm]",  # brightest pixel to centre, along the major axis
            "6": "m3_long [mm]",  # cubic root of the third moments
            "7": "m3_trans [mm]",
            "8": "alpha [deg]",  # major axis to the direction of the source
            "9": "dist [mm]",  # centre to the source
            "10": None,  # the class: g or h
        },
    ),
    "cms_multijet": Source(
        "cms",
        "MultiJetRun2010B.csv",
        68_247,
        {
            "Run": None,
            "Lumi": None,
            "Event": None,
            "MR": "MR [GeV]",  # razor mass
            "Rsq": "Rsq",  # razor ratio, squared
            "HT": "HT [GeV]",  # sum of the jets' transverse momenta
            "MET": "MET [GeV]",  # missing transverse energy
            "nJets": "nJets",
            "nBJets": "nBJets",  # of them tagged as b jets
        },
    ),
    "zmumu": Source(
        "cms",
        "Zmumu_Run2011A.csv",
        10_583,
        {"Run": None, "Event": None} | _muon(1) | _muon(2),
    ),
}


def find(name: str, folder: Path) -> Path | None:
    """Return the file of a table in a folder: in itself or in its subfolder."""
    source = SOURCES[name]
    for candidate in (folder / source.folder / source.file, folder / source.file):
        if candidate.is_file():
            return candidate
    return None


def load(name: str, path: Path) -> Dataset:
    """Read a table, check its columns and its number of events, and split it.

    Raises:
        ValueError: a file that is not the published table.
    """
    columns = SOURCES[name].columns
    cells = text_table.read(path, tuple(columns))
    if len(cells.rows) != SOURCES[name].num_events:
        raise ValueError(
            f"{path}: expected {SOURCES[name].num_events} events, "
            f"found {len(cells.rows)}"
        )
    kept = [i for i, unit in enumerate(columns.values()) if unit is not None]
    values = text_table.numbers(cells, kept)
    train, test = hold_out(len(values))
    labels = _gamma_or_hadron(cells) if name == "magic" else None
    return Dataset(
        train=values[train],
        test=values[test],
        train_labels=None if labels is None else labels[train],
        test_labels=None if labels is None else labels[test],
        name=name,
        num_levels=None,
        feature_names=tuple(unit for unit in columns.values() if unit is not None),
        label_names=None if labels is None else ("hadron", "gamma"),
    )


def _gamma_or_hadron(cells: text_table.TextTable) -> np.ndarray:
    letters = np.array(text_table.column(cells, "10"))
    if unknown := set(letters.tolist()) - {"g", "h"}:
        raise ValueError(f"{cells.path}: expected classes g and h, found {unknown}")
    return (letters == "g").astype(np.int64)
