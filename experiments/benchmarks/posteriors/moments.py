"""Means and standard deviations of a posterior, in memory and as JSON."""

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

FOLDER = Path(__file__).parent / "references"


class Moments(NamedTuple):
    """Moments of one site, arrays of its shape; NaN where there is no such moment."""

    mean: np.ndarray
    sd: np.ndarray
    mean_se: np.ndarray  # Monte Carlo standard errors, 0 where the moment is exact
    sd_se: np.ndarray


Reference = dict[str, Moments]  # by site


def varies(mean: Any, sd: Any) -> Any:
    """Say which entries vary: not those of a Cholesky factor's upper triangle, say.

    Example:
        >>> varies(np.array([1.0, 0.0, 1e-10]), np.array([1e-16, 0.0, 1e-12]))
        array([False, False,  True])
    """
    return sd > 1e-12 * np.abs(mean)


class Errors(NamedTuple):
    """The worst errors over all entries of all sites."""

    mean: float  # |mean − truth| in true sds
    sd: float  # |sd / truth − 1|


def worst_errors(
    reference: Reference, means: Mapping[str, Any], sds: Mapping[str, Any]
) -> Errors:
    """Compare an answer with the reference, over every entry that has the moment.

    A mean whose posterior has no variance is left out too, for want of a unit. A number
    that is NaN in the answer, where the truth is one, is infinitely wrong.

    Raises:
        ValueError: the answer lacks a site, or has it in another shape.

    Example:
        >>> one = Moments(*(np.array(x) for x in (1.0, 2.0, 0.0, 0.0)))
        >>> worst_errors({"x": one}, {"x": 1.5}, {"x": 1.8})
        Errors(mean=0.25, sd=0.1)
    """
    worst_mean, worst_sd = 0.0, 0.0
    for site, truth in reference.items():
        mean, sd = (_given(answer, site, truth) for answer in (means, sds))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_error = np.abs(mean - truth.mean) / truth.sd
            sd_error = np.abs(sd / truth.sd - 1)
        there = np.isfinite(truth.sd) & varies(truth.mean, truth.sd)
        worst_mean = max(worst_mean, _worst(mean_error[there]))
        worst_sd = max(worst_sd, _worst(sd_error[there]))
    return Errors(worst_mean, worst_sd)


def _given(answer: Mapping[str, Any], site: str, truth: Moments) -> np.ndarray:
    if site not in answer:
        raise ValueError(
            f"the answer lacks site {site!r}: it has {', '.join(sorted(answer))}"
        )
    value = np.asarray(answer[site], float)
    if value.shape != truth.mean.shape:
        raise ValueError(
            f"site {site!r} has shape {value.shape} in the answer: give "
            f"{truth.mean.shape}"
        )
    return value


def _worst(errors: np.ndarray) -> float:
    errors = np.where(np.isnan(errors), np.inf, errors)
    return round(float(errors.max(initial=0.0)), 12)


def fingerprint(arguments: tuple[Any, ...]) -> str:
    """Return eight digits that tell one set of data from another.

    Six digits of each number count, so that another platform's `exp` changes nothing.

    Example:
        >>> fingerprint((np.array([1.0, 2.0]), 3))
        '036b3558'
    """
    numbers = [np.ravel(np.asarray(argument, float)) for argument in arguments]
    text = " ".join(f"{number:.6g}" for number in np.concatenate([[0.0], *numbers]))
    return f"{zlib.crc32(text.encode()):08x}"


def read(kind: str) -> dict[str, dict[str, Any]]:
    """Return the stored references of a kind: name -> what the JSON says of it."""
    path = FOLDER / f"{kind}.json"
    stored: dict[str, dict[str, Any]] = (
        json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    )
    return stored


def write(kind: str, references: dict[str, dict[str, Any]]) -> None:
    """Store the references of a kind, one site a line."""
    FOLDER.mkdir(exist_ok=True)
    blocks = []
    for name, record in sorted(references.items()):
        about = {key: value for key, value in record.items() if key != "sites"}
        sites = ",\n".join(
            f"      {json.dumps(site)}: {json.dumps(values)}"
            for site, values in record["sites"].items()
        )
        head = json.dumps(about, ensure_ascii=False)[1:-1]
        body = f'    {head},\n    "sites": {{\n{sites}\n    }}'
        blocks.append(f"  {json.dumps(name)}: {{\n{body}\n  }}")
    path = FOLDER / f"{kind}.json"
    path.write_text("{\n" + ",\n".join(blocks) + "\n}\n", encoding="utf-8")


def to_json(moments: Moments) -> dict[str, Any]:
    """Return moments as nested lists of six digits, null where there is no moment.

    A mean that is far from zero has as many more digits as its sd needs.

    Example:
        >>> numbers = (1.6e9 + 0.123456789, 0.123456789, 0.0, np.nan)
        >>> to_json(Moments(*map(np.array, numbers)))
        {'mean': 1600000000.123457, 'sd': 0.123457, 'mean_se': 0.0, 'sd_se': None}
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.abs(moments.mean / moments.sd)
        more = np.where((ratio > 100) & (ratio < 1e12), np.ceil(np.log10(ratio)), 0)
    digits = {"mean": np.clip(6 + more, 6, 16).astype(int)}
    return {
        field: _rounded(value, digits.get(field, np.full(np.shape(value), 6)))
        for field, value in moments._asdict().items()
    }


def _rounded(value: Any, digits: Any) -> Any:
    if np.ndim(value):
        return [_rounded(*pair) for pair in zip(value, digits, strict=True)]
    return float(f"{value:.{digits}g}") if np.isfinite(value) else None


def from_json(stored: dict[str, Any]) -> Moments:
    """Return what `to_json` was given."""
    return Moments(*(np.array(stored[field], float) for field in Moments._fields))
