"""HistFactory workspaces: two from pyhf's own papers, and random ones of every kind."""

import warnings
from typing import Any

import numpy as np
import pyhf

CODES = {
    "default": None,
    "exponential": {
        "normsys": {"interpcode": "code1"},
        "histosys": {"interpcode": "code0"},
    },
    "quadratic": {
        "normsys": {"interpcode": "code4"},
        "histosys": {"interpcode": "code2"},
    },
}


def read(spec: Any, measurement: str | None = None, **options: Any) -> tuple[Any, Any]:
    """Return pyhf's model and data of a workspace, without its deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        found = pyhf.Workspace(spec)
        model = found.model(measurement_name=measurement, **options)
        return model, np.array(found.data(model), float)


def two_bins(observed: tuple[float, float] = (53.0, 65.0)) -> dict[str, Any]:
    """A signal on an uncertain background in two bins."""
    signal = {
        "name": "signal",
        "data": [5.0, 10.0],
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }
    background = {
        "name": "background",
        "data": [50.0, 60.0],
        "modifiers": [{"name": "shape", "type": "shapesys", "data": [5.0, 12.0]}],
    }
    return workspace(
        [{"name": "region", "samples": [signal, background]}], {"region": observed}
    )


def one_bin(observed: float = 6.0) -> dict[str, Any]:
    """A signal of 6 on a known background of 4: a counting experiment."""
    signal = {
        "name": "signal",
        "data": [6.0],
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }
    background = {"name": "background", "data": [4.0], "modifiers": []}
    return workspace(
        [{"name": "region", "samples": [signal, background]}], {"region": [observed]}
    )


def documented() -> dict[str, Any]:
    """The model in the examples of pyhf's documentation (version 0.7)."""
    spec = two_bins((51.0, 48.0))
    signal, background = spec["channels"][0]["samples"]
    signal["data"], background["data"] = [12.0, 11.0], [50.0, 52.0]
    background["modifiers"][0]["data"] = [3.0, 7.0]
    return spec


def workspace(
    channels: list[Any], observed: dict[str, Any], parameters: Any = ()
) -> dict[str, Any]:
    """Put a workspace together; its parameter of interest is mu."""
    return {
        "channels": channels,
        "observations": [
            {"name": name, "data": list(counts)} for name, counts in observed.items()
        ],
        "measurements": [
            {"name": "fit", "config": {"poi": "mu", "parameters": list(parameters)}}
        ],
        "version": "1.0.0",
    }


def random_workspace(seed: int) -> dict[str, Any]:
    """Two or three channels with every modifier, shared, fixed and configured.

    Names are shared between normsys and histosys, between channels and samples; some
    bins are empty, some have no error, so that their entries are fixed.
    """
    rng = np.random.default_rng(seed)
    channels, observed = [], {}
    for number in range(rng.integers(2, 4)):
        bins = int(rng.integers(1, 5))
        name = f"channel_{number}"
        samples = [
            _sample(rng, kind, bins, name)
            for kind in ("signal", "top", "fakes", "other")[: rng.integers(2, 5)]
        ]
        samples = [samples[i] for i in rng.permutation(len(samples))]
        channels.append({"name": name, "samples": samples})
        total = sum(np.array(sample["data"]) for sample in samples)
        observed[name] = rng.poisson(total).astype(float)
    channels = [channels[i] for i in rng.permutation(len(channels))]
    parameters: list[dict[str, Any]] = [
        {
            "name": "lumi",
            "auxdata": [1.0],
            "sigmas": [0.02],
            "bounds": [[0.5, 1.5]],
            "inits": [1.0],
            "fixed": bool(rng.random() < 0.3),
        },
        {"name": "mu", "bounds": [[-1.0, 8.0]], "inits": [0.7]},
        {"name": "tilt", "auxdata": [0.3], "bounds": [[-3.0, 4.0]]},
    ]
    if rng.random() < 0.3:
        parameters.append({"name": "energy", "fixed": True, "inits": [0.4]})
    used = {m["name"] for c in channels for s in c["samples"] for m in s["modifiers"]}
    return workspace(channels, observed, [p for p in parameters if p["name"] in used])


def _sample(
    rng: np.random.Generator, kind: str, bins: int, channel: str
) -> dict[str, Any]:
    data = np.round(rng.uniform(5.0, 60.0, bins), 3)
    if kind == "other" and bins > 1:
        data[0] = 0.0
    modifiers: list[dict[str, Any]] = [
        {"name": "lumi", "type": "lumi", "data": None},
        _norm(rng, "energy"),
    ]
    if kind == "signal":
        modifiers.append({"name": "mu", "type": "normfactor", "data": None})
    else:
        modifiers += [_norm(rng, f"norm_{kind}"), _error(rng, data, channel)]
    if kind == "top":
        modifiers += [_shape(rng, "energy", data), _shape(rng, "tilt", data)]
        modifiers.append({"name": "top_scale", "type": "normfactor", "data": None})
    if kind == "fakes":
        name = f"fake_shape_{channel}"
        modifiers.append({"name": name, "type": "shapefactor", "data": None})
    if kind == "other":
        error = rng.uniform(1.0, 5.0, bins)
        error[-1] = 0.0 if bins > 2 else error[-1]
        name = f"other_shape_{channel}"
        modifiers.append({"name": name, "type": "shapesys", "data": error.tolist()})
        modifiers.append(_shape(rng, "tilt", data))
    return {"name": kind, "data": data.tolist(), "modifiers": modifiers}


def _norm(rng: np.random.Generator, name: str) -> dict[str, Any]:
    limits = {"hi": float(rng.uniform(0.9, 1.4)), "lo": float(rng.uniform(0.7, 1.1))}
    return {"name": name, "type": "normsys", "data": limits}


def _shape(rng: np.random.Generator, name: str, data: np.ndarray) -> dict[str, Any]:
    up, down = (data * rng.uniform(0.85, 1.15, (2, len(data)))).tolist()
    return {"name": name, "type": "histosys", "data": {"hi_data": up, "lo_data": down}}


def _error(rng: np.random.Generator, data: np.ndarray, channel: str) -> dict[str, Any]:
    error = rng.uniform(0.5, 4.0, len(data)) * (data > 0)
    if len(data) > 2:
        error[1] = 0.0
    return {
        "name": f"staterror_{channel}",
        "type": "staterror",
        "data": error.tolist(),
    }
