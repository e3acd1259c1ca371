"""Write the API pages, one a room, from what each room's `__all__` names.

The pages are made anew at each build in `docs/api/` (which git ignores), so that no
public name can be left out.
"""

import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from code_links import resolve

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parents[1]

# Rooms with their own page, in the order of the contents.
ROOMS = (
    "vijax.vi",
    "vijax.vi.families",
    "vijax.vi.methods",
    "vijax.vi.bounds",
    "vijax.vi.divergences",
    "vijax.bayes",
    "vijax.bayes.intervals",
    "vijax.bayes.frequentist",
    "vijax.bayes.theorem",
    "vijax.bayes.evidence",
    "vijax.bayes.mean_tests",
    "vijax.bayes.landscape",
    "vijax.bayes.regions",
    "vijax.vae",
    "vijax.vae.models",
    "vijax.vae.models.likelihoods",
    "vijax.vae.models.priors",
    "vijax.vae.models.posteriors",
    "vijax.vae.models.autoregressive",
    "vijax.vae.models.layers",
    "vijax.vae.models.covariates",
    "vijax.vae.models.losses",
    "vijax.vae.models.networks",
    "vijax.vae.models.bound_terms",
    "vijax.vae.models.gradient_estimators",
    "vijax.vae.models.gradient_comparison",
    "vijax.vae.training",
    "vijax.vae.evaluation",
    "vijax.vae.anomaly",
    "vijax.vae.compression",
    "vijax.vae.generation",
    "vijax.vae.event_tables",
    "vijax.physics",
    "vijax.metrics",
    "vijax.data",
    "vijax.data.selection",
    "vijax.special",
    "vijax.sweep",
    "vijax.optimize",
    "vijax.checkpoint",
    "vijax.plot.vi",
    "vijax.plot",
    "vijax.types",
)
CONJUGATE = "vijax.bayes.conjugate"


def rooms() -> tuple[str, ...]:
    """Return the modules that have a page: the rooms and the conjugate families."""
    families = importlib.import_module(CONJUGATE).__all__
    return (*ROOMS, *(f"vijax.bayes.{name}" for name in families))


def public_names(module: Any) -> list[str]:
    """Return what a module offers: its `__all__`, or the functions it defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isfunction(value) or inspect.isclass(value) or callable(value))
        and getattr(value, "__module__", None) == module.__name__
    ]


def documented() -> dict[int, str]:
    """Return the name under which each public object has its entry, by its identity."""
    homes = _homes()
    return {
        id(value): f"{resolve(room).__name__}.{name}"
        for room in rooms()
        for name, value in entries(room)
        if homes[id(value)] == room
    }


def entries(room: str) -> list[tuple[str, Any]]:
    """Return names and objects that a room's page documents: no modules, no data."""
    module = resolve(room)
    found = [(name, getattr(module, name)) for name in public_names(module)]
    return [
        (name, value)
        for name, value in found
        if not inspect.ismodule(value) and callable(value) and not _is_alias(value)
    ]


def _is_alias(value: Any) -> bool:
    """Say whether it is a name for a type, such as `Key`."""
    return not (inspect.isroutine(value) or inspect.isclass(value)) and not hasattr(
        value, "__wrapped__"
    )


def _page(room: str) -> str:
    module = resolve(room)
    title, real = room.removeprefix("vijax."), module.__name__
    lines = [title, "=" * len(title), "", f".. automodule:: {real}", "   :no-members:"]
    inside = [
        f"{room}.{name}"
        for name in public_names(module)
        if inspect.ismodule(getattr(module, name)) and f"{room}.{name}" in rooms()
    ]
    if inside:
        names = ", ".join(
            f":doc:`{name.removeprefix('vijax.')} <{name}>`" for name in inside
        )
        lines += ["", f"Inside: {names}."]
    lines.append("")
    shown = sorted(entries(room), key=lambda entry: entry[0].lower())
    homes = _homes()
    elsewhere = [
        f":doc:`{name} <{homes[id(value)]}>`"
        for name, value in shown
        if homes[id(value)] != room
    ]
    if elsewhere:
        lines += [f"In their own rooms: {', '.join(elsewhere)}.", ""]
    for name, value in shown:
        if homes[id(value)] != room:
            continue
        heading = ["", name, "-" * len(name), ""]
        if inspect.isclass(value):
            own = [
                member
                for member, thing in vars(value).items()
                if not member.startswith("_")
                and (isinstance(thing, property) or inspect.isfunction(thing))
                and getattr(thing, "__doc__", None)
                and member not in getattr(value, "_fields", ())
            ]
            lines += [*heading, f".. autoclass:: {real}.{name}"]
            if own:
                lines.append(f"   :members: {', '.join(own)}")
        else:
            lines += [*heading, f".. autofunction:: {real}.{name}"]
    return "\n".join(lines) + "\n"


@cache
def _homes() -> dict[int, str]:
    """Return the room in which each public object has its entry, by its identity.

    That is the room that defines it, where this has a page, else the last that has it.
    """
    found: dict[int, str] = {}
    for room in rooms():
        for _, value in entries(room):
            known = found.get(id(value))
            if known is None or resolve(known).__name__ != value.__module__:
                found[id(value)] = room
    return found


def _write(app: "Sphinx") -> None:
    folder = HERE / "api"
    (HERE / "_notebooks").mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    wanted = {f"{room}.rst": _page(room) for room in rooms()}
    families = [room for room in rooms() if room not in ROOMS]
    wanted["index.rst"] = _index(families)
    for path in folder.glob("*.rst"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _index(families: list[str]) -> str:
    tree = "\n".join(f"   {room.removeprefix('vijax.')} <{room}>" for room in ROOMS)
    conjugate = "\n".join(
        f"   {room.removeprefix('vijax.')} <{room}>" for room in families
    )
    return f"""API
===

Every public name, from its docstring: what it computes, shapes and units, what it
raises, its source, and an example whose digits are tested.

.. toctree::
   :maxdepth: 1

{tree}

Conjugate families
------------------

The same functions in every family: ``posterior``, ``log_evidence``, ``predictive``,
``model``. Beside them stand ``on_off``, ``marginals`` and ``streaming``.

.. toctree::
   :maxdepth: 1

{conjugate}
"""


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
