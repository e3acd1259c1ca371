r"""Save a fit to a file, and load it in another process, bit for bit.

    vi.save(fit, "fit.npz")
    fit = vi.load("fit.npz", model)           the data are in the file
    fit = vi.load("fit.npz", target)          or are given again, and compared

The file holds numbers and JSON, no code (see `archive`). The model is the reader's:
a file says which one its fit is of, and a fit of another one is refused. It says so in
three ways:

    arguments    type, shape and SHA-256 of every array, numbers and words as they are
    source       the fingerprint of the model's function, and of what it calls
    values       log density and constrained unknowns at four draws of q; these also
                 tell a changed NumPyro, or a function of another package
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from vijax import archive
from vijax.tree_encoding import decode, encode, type_name
from vijax.validate import is_traced
from vijax.vi.engine.precision import in_float64, precision_of
from vijax.vi.families import base
from vijax.vi.families.flow import Coupling, CouplingFlow
from vijax.vi.families.gaussian import DiagonalNormal, FullRankNormal
from vijax.vi.families.low_rank import LowRankNormal
from vijax.vi.families.mixture import NormalMixture
from vijax.vi.families.spiked import SpikedNormal
from vijax.vi.families.structured import StructuredNormal
from vijax.vi.methods.mode_search import Modes
from vijax.vi.result import Chains, Fit
from vijax.vi.target_identity import (
    compare,
    describe_target,
    identity_of,
    is_close,
    look_at,
    maker_of,
    probe_positions,
)
from vijax.vi.targets.arguments.data_arguments import join
from vijax.vi.targets.models.numpyro_model import from_numpyro
from vijax.vi.targets.structure.dependencies import Group, Structure
from vijax.vi.targets.target import Target, TargetError, from_log_density

KIND = "fit of vijax.vi"
TYPES = (
    base.Affine,
    Chains,
    Coupling,
    CouplingFlow,
    DiagonalNormal,
    Fit,
    FullRankNormal,
    Group,
    LowRankNormal,
    Modes,
    NormalMixture,
    SpikedNormal,
    Structure,
    StructuredNormal,
)


def save(fit: Fit, path: str | Path, *, keep_data: bool = True) -> Path:
    """Write a fit to a file, in the place of the one that is there; return its path.

    Args:
        fit: of any family or method, with chains or without.
        path: of the file; ".npz" is a good ending, for it is one of NumPy's.
        keep_data: whether the data are written too. Without them, only their
            fingerprint is, and `load` wants a target, which has the data.

    Raises:
        ValueError: the path is a folder or a device; the fit is none, is traced or a
            stack of fits; it holds, or its data hold, something else than arrays,
            numbers, text, and NamedTuples, dataclasses, lists and dicts of them.
        OSError: the file cannot be written, or the disk is full; what was there before
            is intact.

    Example:
        >>> import tempfile
        >>> from vijax import vi
        >>> target = vi.from_log_density(lambda p: -0.5 * p["x"] ** 2, {"x": 0.0})
        >>> fit = vi.fit(target, jax.random.key(0))
        >>> path = save(fit, Path(tempfile.mkdtemp()) / "fit.npz")
        >>> load(path, target).elbo.item() == fit.elbo.item()
        True
    """
    if not isinstance(fit, Fit):
        raise ValueError(
            f"fit is not valid: it is a {type(fit).__name__}; give a fit and then its "
            "path, vi.save(fit, path)"
        )
    if is_traced(fit) or np.ndim(fit.status):
        raise ValueError("fit is traced, or a stack of fits: give one, outside of jit")
    target = fit.target
    arrays: dict[str, np.ndarray] = {}

    def is_target(thing: Any) -> str | None:
        if not isinstance(thing, Target):
            return None
        if thing is not target and identity_of(thing) != identity_of(target):
            raise ValueError("fit is not valid: its q is of another target than itself")
        return "target"

    header: dict[str, Any] = {"about": describe_target(target)}
    header["fit"] = encode(fit, arrays, name="fit", given=is_target)
    header["data"] = None
    if keep_data and maker_of(target) is not None:
        try:
            header["data"] = encode(_arguments(target), arrays, name="data")
        except ValueError as error:
            raise ValueError(
                f"the model's arguments are not valid here: {error}; or give "
                "keep_data=False, and load the fit with a target"
            ) from error
    with precision_of(target):
        positions = probe_positions(fit)
        found = look_at(target, positions)
    arrays["probe.positions"] = positions
    arrays |= {f"probe.values.{name}": values for name, values in found.items()}
    return archive.write_arrays(path, header, arrays, kind=KIND)


def load(
    path: str | Path,
    model: Callable[..., Any] | Target,
    *,
    types: tuple[type, ...] = (),
    same_source: bool = True,
) -> Fit:
    """Read a fit from a file: its draws, summary and predictions are those before.

    Args:
        path: as given to `save`.
        model: that was fitted: the function, where the file holds the data; or a
            target of it and its data.
        types: classes of a family of your own that the fit holds.
        same_source: whether a model with another text is refused. Where only words
            have changed (a comment, a name), give False: its log density and values
            are still compared, at four draws of q and with the data of the fit.

    Returns:
        The Fit.

    Raises:
        FileNotFoundError: there is no file.
        ValueError: the path is none; the file is truncated, damaged, another program's
            or of a newer version; the model, its unknowns or its data are not those of
            the fit; JAX's precision is not; the fit holds a class that is not known.
    """
    if not isinstance(path, str | Path):
        raise ValueError(
            f"path is not valid: it is a {type(path).__name__}; give the file's path "
            "and then the model, vi.load(path, model)"
        )
    header, arrays = archive.read_arrays(path, kind=KIND)
    about = header["about"]
    x64 = bool(jax.config.read("jax_enable_x64"))
    if about["x64"] != x64:
        raise ValueError(
            f"{path} was written with jax_enable_x64 = {about['x64']}, and it is {x64} "
            "here: set it as it was, or numbers would be others"
        )
    target = _rebuild(Path(path), model, header, arrays)
    ours = describe_target(target)
    for kind in ("arguments", "unknowns", "structure"):
        compare(Path(path), kind, about[kind], ours[kind])
    if same_source and about["source"] != ours["source"]:
        if about["module"] != ours["module"]:
            raise ValueError(
                f"{path} is a fit of {about['model']} of the module {about['module']}, "
                f"and the model is of {ours['module']}: give it as it was imported "
                "then, or same_source=False, if it is the same"
            )
        raise ValueError(
            f"{path} is a fit of another model: the source of {about['model']}, or of "
            "what it calls, has changed since. Fit again; or, where only words have "
            "changed, give same_source=False"
        )
    names = [name for name in arrays if name.startswith("probe.values.")]
    with precision_of(target):
        found = look_at(target, arrays["probe.positions"])
    found = {f"probe.values.{name}": values for name, values in found.items()}
    for name in sorted({*names, *found}):
        if not is_close(arrays.get(name), found.get(name)):
            raise ValueError(
                f"{path} is a fit of another model: {name[13:]} has other values at "
                f"draws of q than when it was written by {about['versions']}. Fit again"
            )
    known = {type_name(cls): cls for cls in (*types, *TYPES)}
    fit = decode(header["fit"], arrays, known, {"target": target})
    if not isinstance(fit, Fit):
        raise ValueError(f"{path} holds no fit: give another file")
    return fit


# ---- the target ----


def _arguments(target: Target) -> dict[str, Any]:
    """Return what the target was made of, but for its function."""
    # A fit that goes to float64 by itself has widened its data.
    widened = not jax.config.read("jax_enable_x64")
    data = jax.tree.map(_narrowed, target.data) if widened else target.data
    made_of: Any = target.static.structure
    if maker_of(target) == "numpyro":
        args, kwargs = join(data, made_of)
        return {"args": args, "kwargs": kwargs}
    treedef, structure = made_of
    args, kwargs = join(data, structure)
    with precision_of(target):
        values = list(target.unravel(jnp.asarray(target.init)).values())
    if widened:
        values = [_narrowed(value) for value in values]
    init = jax.tree.unflatten(treedef, values)
    return {"args": args, "kwargs": kwargs, "init": init}


def _narrowed(leaf: Any) -> Any:
    """Return float32 numbers in float64 as float32, others as they are."""
    if leaf.dtype != np.float64:
        return leaf
    narrow = np.asarray(leaf, np.float32)
    same = np.array_equal(narrow.astype(np.float64), np.asarray(leaf), equal_nan=True)
    return jnp.asarray(narrow) if same else leaf


def _rebuild(
    path: Path,
    model: Callable[..., Any] | Target,
    header: dict[str, Any],
    arrays: dict[str, np.ndarray],
) -> Target:
    """Return the target of the fit, of the reader's model."""
    about = header["about"]
    if isinstance(model, Target):
        target = model
    elif not callable(model):
        raise ValueError(
            f"model = {model!r} is not valid: give the function that was fitted, or a "
            "target of it"
        )
    elif header["data"] is None:
        raise ValueError(
            f"model is not enough for {path}, which holds no data: give the target, "
            "vi.from_numpyro(model, …), vi.from_stream(model, stream) or "
            "vi.from_log_density(…)"
        )
    else:
        target = _make(path, model, about, decode(header["data"], arrays, {}))
    if about["unknowns"]["positive"] != target.static.positive:
        target = target.with_positive(about["unknowns"]["positive"])
    wide = about["unknowns"]["type"] == "float64"
    if wide and np.dtype(target.init.dtype) == np.float32:
        target = in_float64(target)
    return target


def _make(
    path: Path,
    model: Callable[..., Any],
    about: dict[str, Any],
    given: dict[str, Any],
) -> Target:
    args, kwargs = given["args"], given["kwargs"]
    if isinstance(model, partial):  # its own arguments are compared with the file's
        args = (*model.args, *args[len(model.args) :])
        kwargs = kwargs | model.keywords
        model = model.func
    try:
        if about["maker"] == "numpyro":
            # What a partial had fixed at the fit: vi.predict keeps it.
            target = from_numpyro(model, *args, **kwargs)
            number, names = about["bound"]
            static = target.static._replace(bound=(number, tuple(names)))
            return replace(target, static=static)
        return from_log_density(model, given["init"], *args, **kwargs)
    except TargetError as error:
        raise ValueError(
            f"model is not the one that {path} is a fit of, {about['model']}, for it "
            f"does not take its data: {error}"
        ) from error
