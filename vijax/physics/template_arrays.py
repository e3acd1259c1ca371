"""The arrays of a HistFactory model, built by NumPy of its specification.

A modifier acts on samples in channels: histosys adds to their cells, normfactor, lumi
and normsys multiply them whole, shapesys, shapefactor and staterror bin by bin.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from vijax.physics.histfactory import SCALE_CODES, SHAPE_CODES, Template
from vijax.physics.layout import Layout

CODES = {"histosys": SHAPE_CODES, "normsys": SCALE_CODES}
FACTORS = ("normfactor", "lumi", "normsys")  # of a whole row
CELLS = ("shapesys", "shapefactor", "staterror")  # of each bin
TYPES = (*FACTORS, *CELLS, "histosys")
Places = dict[tuple[int, int], list[int]]  # a row or a cell -> what multiplies it


class Application(NamedTuple):
    """A modifier of one sample in one channel."""

    kind: str
    name: str
    data: Any
    slot: int  # of the sample in its channel
    channel: int


def samples_of(model: Any) -> dict[str, dict[str, Any]]:
    """Return channel -> sample -> its specification; the last of a name counts."""
    found: dict[str, dict[str, Any]] = {}
    for channel in model.spec["channels"]:
        known = found.setdefault(channel["name"], {})
        known.update({sample["name"]: sample for sample in channel["samples"]})
    return found


def build_template(model: Any, layout: Layout) -> Template:
    """Build the arrays of the model's samples, modifiers and constraints."""
    nominal = _nominal(model, layout)
    applied = list(_applications(model, layout))
    _check_numbers(layout, nominal, applied)
    shape_of, linear, bend = _shapes(layout, nominal, applied)
    scale_of, logs, powers, row_factors = _rows(layout, nominal, applied)
    normal_of, sigma = _constraints(model, layout, "normal")
    poisson_of, tau = _constraints(model, layout, "poisson")
    return Template(
        nominal=nominal,
        shape_of=shape_of,
        shape_linear=linear,
        shape_bend=bend,
        scale_of=scale_of,
        scale_logs=logs,
        scale_powers=powers,
        row_factors=row_factors,
        cell_factors=_cells(layout, nominal, applied),
        channel_of=np.repeat(np.arange(len(layout.bins)), layout.bins),
        floors=np.array([_floor(model, f"clip_{of}_data") for of in ("sample", "bin")]),
        normal_of=normal_of,
        poisson_of=poisson_of,
        sigma=sigma,
        tau=tau,
        shape_code=_code(model, "histosys"),
        scale_code=_code(model, "normsys"),
    )


def _columns(layout: Layout, channel: int) -> slice:
    """Return the bins of a channel among all."""
    start = sum(layout.bins[:channel])
    return slice(start, start + layout.bins[channel])


def _nominal(model: Any, layout: Layout) -> np.ndarray:
    samples = samples_of(model)
    nominal = np.zeros((max(map(len, layout.samples)), sum(layout.bins)))
    for c, channel in enumerate(layout.channels):
        for slot, name in enumerate(layout.samples[c]):
            nominal[slot, _columns(layout, c)] = samples[channel][name]["data"]
    return nominal


def _applications(model: Any, layout: Layout) -> Iterator[Application]:
    """Yield the modifiers of all samples; the last of a type and name counts."""
    samples = samples_of(model)
    for c, channel in enumerate(layout.channels):
        for slot, sample in enumerate(layout.samples[c]):
            modifiers = samples[channel][sample]["modifiers"]
            last = {(m["type"], m["name"]): m for m in modifiers}
            for (kind, name), modifier in last.items():
                yield Application(kind, name, modifier["data"], slot, c)


def _check_numbers(
    layout: Layout, nominal: np.ndarray, applied: list[Application]
) -> None:
    """Refuse what makes the likelihood NaN everywhere, which pyhf lets pass."""
    if not np.isfinite(nominal).all():
        raise ValueError("workspace_or_model is not valid: a template is not finite")
    for kind, name, data, _, channel in applied:
        leaves = [np.ravel(leaf) for leaf in jax.tree.leaves(data)]
        numbers = np.concatenate([*leaves, []])
        positive = kind == "normsys"
        if not np.isfinite(numbers).all() or (positive and (numbers <= 0).any()):
            raise ValueError(
                f"workspace_or_model is not valid: its {kind} {name!r} in channel "
                f"{layout.channels[channel]!r} holds {numbers.tolist()}; give finite "
                f"numbers{' above 0' if positive else ''}"
            )


def _shapes(
    layout: Layout, nominal: np.ndarray, applied: list[Application]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the parameter of each histosys, half its difference and its bend."""
    found: dict[str, np.ndarray] = {}
    for kind, name, data, slot, channel in applied:
        if kind == "histosys":
            both = found.setdefault(name, np.zeros((2, *nominal.shape)))
            columns = _columns(layout, channel)
            low, high = (np.array(data[f"{end}_data"], float) for end in ("lo", "hi"))
            both[0, slot, columns] = 0.5 * (high - low)
            both[1, slot, columns] = 0.5 * (high + low) - nominal[slot, columns]
    parts = np.array(list(found.values())).reshape(len(found), 2, nominal.size)
    starts = [layout.parameter(name).start for name in found]
    return np.array(starts, int), parts[:, 0], parts[:, 1]


def _rows(
    layout: Layout, nominal: np.ndarray, applied: list[Application]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what multiplies whole rows: each normsys, and an index of all factors."""
    scales = [a for a in applied if a.kind == "normsys"]
    limits = np.array([(a.data["hi"], a.data["lo"]) for a in scales], float)
    starts = [layout.parameter(a.name).start for a in scales]
    places: Places = defaultdict(list)
    for number, scale in enumerate(scales):
        places[scale.slot, scale.channel].append(number)
    for kind, name, _, slot, channel in applied:
        if kind in FACTORS and kind != "normsys":
            entry = layout.parameter(name).start
            places[slot, channel].append(len(scales) + entry)
    shape = len(nominal), len(layout.channels)
    factors = _padded(places, shape, len(scales) + layout.size)
    return np.array(starts, int), *_scale_arrays(limits.reshape(-1, 2)), factors


def _cells(
    layout: Layout, nominal: np.ndarray, applied: list[Application]
) -> np.ndarray:
    """Return an index of what multiplies each cell.

    A shapefactor that several channels share has one entry for the first bin of each,
    and so on. Entries of shapesys and staterror follow the bins of all channels.
    """
    chosen = [a for a in applied if a.kind in CELLS]
    places: Places = defaultdict(list)
    for kind, name, _, slot, channel in chosen:
        before = {a.channel for a in chosen if a.name == name and a.channel < channel}
        shared = kind == "shapefactor"
        first = 0 if shared else sum(layout.bins[c] for c in before)
        parameter = layout.parameter(name)
        if first + layout.bins[channel] > parameter.size:
            raise ValueError(
                f"workspace_or_model is not valid: its {kind} {name!r} has "
                f"{parameter.size} entries, too few for channel "
                f"{layout.channels[channel]!r}; give it a name of its own there"
            )
        start = parameter.start + first
        for entry, column in enumerate(
            range(nominal.shape[1])[_columns(layout, channel)]
        ):
            places[slot, column].append(start + entry)
    return _padded(places, nominal.shape, layout.size)


def _padded(places: Places, shape: tuple[int, ...], one: int) -> np.ndarray:
    """Return the lists as an array, filled up with the index of the number 1."""
    width = max(map(len, places.values()), default=0)
    table = np.full((*shape, width), one)
    for place, entries in places.items():
        table[place][: len(entries)] = entries
    return table


def _code(model: Any, kind: str) -> str:
    """Return how a modifier is interpolated; not said, it is by the plainest code."""
    settings = model.config.modifier_settings.get(kind, {})
    return str(settings.get("interpcode", CODES[kind][0]))


def _floor(model: Any, name: str) -> float:
    """Return where the model clips its expected counts, −inf where it does not."""
    floor = getattr(model.main_model, name, None)
    return -np.inf if floor is None else float(floor)


def _scale_arrays(limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return logs of up and down, and the polynomial of code 4, powers 1 to 6.

    At α = ±1 it has the value, the slope and the curvature of the exponentials.
    """
    up, down = limits.T
    logs = np.log(np.stack([up, down]))
    slopes, bends = logs * (up, down), logs**2 * (up, down)
    odd = up - down, slopes[0] - slopes[1], bends[0] - bends[1]
    even = up + down - 2, slopes[0] + slopes[1], bends[0] + bends[1]
    powers = [
        (15 * odd[0] - 7 * odd[1] + odd[2]) / 16,
        (24 * even[0] - 9 * even[1] + even[2]) / 16,
        (-5 * odd[0] + 5 * odd[1] - odd[2]) / 8,
        (-12 * even[0] + 7 * even[1] - even[2]) / 8,
        (3 * odd[0] - 3 * odd[1] + odd[2]) / 16,
        (8 * even[0] - 5 * even[1] + even[2]) / 16,
    ]
    return logs, np.stack(powers)


def _constraints(
    model: Any, layout: Layout, kind: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return entries of θ with constraints of a kind, and their σ or τ."""
    where: list[int] = []
    width: list[float] = []
    for name in layout.auxiliary:
        parameter, known = layout.parameter(name), model.config.param_set(name)
        if parameter.constraint == kind:
            where += range(parameter.start, parameter.start + parameter.size)
            ones = [1.0] * parameter.size
            width += (
                getattr(known, "sigmas", ones) if kind == "normal" else known.factors
            )
    return np.array(where, int), np.array(width, float)
