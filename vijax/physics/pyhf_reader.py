"""Read a HistFactory workspace with pyhf: its parameters, ranges, arrays and data.

pyhf reads the workspace, applies patches, checks the schema, and says which parameters
there are, with their starts, bounds and constraints. The arrays of the templates and
the modifiers are then built of the model's specification, in `template_arrays`.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vijax.extras import require
from vijax.physics.histfactory import Observed, Template, observe
from vijax.physics.layout import Layout, Parameter
from vijax.physics.template_arrays import (
    CODES,
    TYPES,
    build_template,
    samples_of,
)


class Ranges(NamedTuple):
    """Where a parameter starts, and between which bounds it is; by entry of θ."""

    init: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Parsed(NamedTuple):
    """A model with its data."""

    layout: Layout
    template: Template
    observed: Observed
    ranges: Ranges


def parse(
    given: Any,
    data: Any,
    *,
    measurement: str | None,
    patches: Sequence[Any],
    settings: Mapping[str, Any] | None,
) -> Parsed:
    """Read a workspace or a model with pyhf; see `from_pyhf` for the arguments."""
    _check_settings(settings or {})
    pyhf = require("pyhf", extra="physics", purpose="vijax.physics.from_pyhf")
    # Of pyhf 0.7's way to call jsonschema, and of numbers that are refused later.
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", DeprecationWarning)
        model, data = _model_and_data(pyhf, given, data, measurement, patches, settings)
    layout = _layout(model)
    template = build_template(model, layout)
    ranges = Ranges(
        np.asarray(model.config.suggested_init(), float),
        *np.asarray(model.config.suggested_bounds(), float).reshape(-1, 2).T,
    )
    return Parsed(layout, template, split_data(model, layout, template, data), ranges)


# ---- pyhf's part ----


def _model_and_data(
    pyhf: Any,
    given: Any,
    data: Any,
    measurement: str | None,
    patches: Sequence[Any],
    settings: Mapping[str, Any] | None,
) -> tuple[Any, Any]:
    """Return pyhf's model and the data, which a workspace has itself."""
    if isinstance(given, pyhf.Model):
        if measurement is not None or patches or settings is not None:
            raise ValueError(
                "measurement, patches and modifier_settings are for a workspace: a "
                "pyhf.Model has been made with them"
            )
        return given, _required(data)
    if isinstance(given, str | Path):
        given = _read(Path(given))
    if not isinstance(given, Mapping) or "channels" not in given:
        raise ValueError(
            f"workspace_or_model of type {type(given).__name__} is not valid: give a "
            "HistFactory workspace (a dict, or the path of a JSON file) or a pyhf.Model"
        )
    options = {} if settings is None else {"modifier_settings": dict(settings)}
    try:
        if "measurements" not in given:
            poi = "mu" if _names_mu(given) else None
            return pyhf.Model(dict(given), poi_name=poi, **options), _required(data)
        workspace = pyhf.Workspace(given)
        model = workspace.model(
            measurement_name=measurement, patches=list(patches), **options
        )
        observed = workspace.data(model) if data is None else data
    except _errors(pyhf) as error:
        raise ValueError(
            f"workspace_or_model is not valid, says pyhf: {type(error).__name__}: "
            f"{error}"
        ) from error
    return model, observed


def _check_settings(settings: Mapping[str, Any]) -> None:
    for kind, given in settings.items():
        if kind not in CODES or not isinstance(given, Mapping):
            raise ValueError(
                f"modifier_settings: {kind!r}: {given!r} is not valid: give "
                f'{{"interpcode": a code}} of one of {tuple(CODES)}'
            )
        codes = CODES[kind]
        code = given.get("interpcode", codes[0])
        if code not in codes:
            raise ValueError(
                f"modifier_settings: interpcode {code!r} of {kind} is not one of "
                f"{codes}"
            )


def _names_mu(specification: Mapping[str, Any]) -> bool:
    return any(
        modifier["name"] == "mu"
        for channel in specification["channels"]
        for sample in channel["samples"]
        for modifier in sample["modifiers"]
    )


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # no JSON, or no text
        raise ValueError(
            f"{path} is not valid: {error}; give a workspace in JSON"
        ) from error


def _errors(pyhf: Any) -> tuple[type[Exception], ...]:
    names = (
        "InvalidMeasurement",
        "InvalidNameReuse",
        "InvalidModifier",
        "InvalidModel",
        "InvalidPatchSet",
        "InvalidSpecification",
        "PatchSetVerificationError",
        "Unsupported",
    )
    own = tuple(getattr(pyhf.exceptions, name) for name in names)
    jsonpatch: Any = import_module("jsonpatch")  # pyhf's own requirement
    of_patches = jsonpatch.JsonPatchException, jsonpatch.JsonPointerException
    return (KeyError, *of_patches, *own)


def _required(data: Any) -> Any:
    if data is None:
        raise ValueError(
            "data = None is not valid here: a model has no observations; give the "
            "counts of its channels, with the auxiliary data or without"
        )
    return data


def _layout(model: Any) -> Layout:
    config = model.config
    other = sorted({kind for _, kind in config.modifiers} - set(TYPES))
    if other:
        raise ValueError(
            f"workspace_or_model is not valid: its modifiers {other} are not "
            f"HistFactory's, {TYPES}"
        )
    parameters = []
    for name in config.par_order:
        known = config.param_set(name)
        where = config.par_slice(name)
        constraint = known.pdf_type if known.constrained else "none"
        fixed = tuple(bool(flag) for flag in known.suggested_fixed)
        parameters.append(
            Parameter(
                name,
                int(where.start),
                int(known.n_parameters),
                bool(known.is_scalar),
                fixed,
                constraint,
            )
        )
    samples = samples_of(model)
    return Layout(
        tuple(sorted(parameters, key=lambda parameter: parameter.start)),
        config.poi_name,
        tuple(config.channels),
        tuple(int(config.channel_nbins[channel]) for channel in config.channels),
        tuple(tuple(samples[channel]) for channel in config.channels),
        tuple(config.auxdata_order),
    )


def split_data(model: Any, layout: Layout, template: Template, data: Any) -> Observed:
    """Part the data into counts, Gaussian and Poisson auxiliary data."""
    try:
        values = np.asarray(data, float)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"data is not valid: {error}; give a vector of counts"
        ) from error
    num_bins, auxiliary = sum(layout.bins), np.asarray(model.config.auxdata, float)
    if values.shape == (num_bins,):
        values = np.concatenate([values, auxiliary])
    if values.shape != (num_bins + len(auxiliary),):
        raise ValueError(
            f"data of shape {values.shape} is not valid: give {num_bins} counts, "
            f"or {num_bins + len(auxiliary)} with the auxiliary data"
        )
    if not np.isfinite(values).all():
        raise ValueError("data is not valid: it holds numbers that are not finite")
    main, auxiliary = np.split(values, [num_bins])
    if (main < 0).any():
        raise ValueError(f"data = {main[main < 0][0]} is not valid: give counts >= 0")
    parts: dict[str, list[np.ndarray]] = {"normal": [], "poisson": []}
    start = 0
    for name in layout.auxiliary:
        parameter = layout.parameter(name)
        end = start + parameter.size
        parts[parameter.constraint].append(auxiliary[start:end])
        start = end
    normal, poisson = (np.concatenate([*parts[k], []]) for k in ("normal", "poisson"))
    if (poisson < 0).any():
        raise ValueError("data is not valid: auxiliary counts are below 0")
    return observe(template, main, normal, poisson)
