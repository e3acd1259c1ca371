"""What every experiment shares: its command line, its data, its results on disk.

An experiment is a frozen `Config`, `run(config) -> Result` and `main()`. It writes
`results/<experiment>/`: its figures as PNG first, then `metrics.json`, each file
atomically, so a run that is stopped leaves the earlier results as they were.
"""

import dataclasses
import io
import json
import math
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import matplotlib as mpl
import numpy as np
import tyro
from matplotlib.figure import Figure

import vijax
from vijax import data
from vijax.plot import style

PACKAGES = ("jax", "jaxlib", "numpyro", "flax", "optax", "numpy", "scipy")


class Result(NamedTuple):
    """What an experiment returns."""

    metrics: dict[str, Any]  # numbers, strings, lists and dicts of them
    figures: dict[str, Figure]  # file name without ".png" -> figure
    dataset: str | None = None  # the name of the data set that was used


def main(file: str, config_class: type, run: Callable[[Any], Result]) -> None:
    """Run one experiment from the command line.

    A user's mistake (ValueError, OSError) ends in one clear line and exit status 2,
    Ctrl-C in status 130. Neither touches earlier results.
    """
    name = Path(file).stem
    arguments_class = dataclasses.make_dataclass(
        "Arguments",
        [
            ("config", config_class, config_class()),
            ("results", Path, Path("results")),  # folder that results are written to
        ],
        frozen=True,
    )
    arguments: Any = tyro.cli(
        arguments_class,
        config=(tyro.conf.OmitArgPrefixes,),
        prog=f"python -m experiments.{Path(file).parent.name}.{name}",
        description=sys.modules[run.__module__].__doc__,
    )
    with errors_in_one_line(name):
        execute(name, arguments.config, run, arguments.results)


@contextmanager
def errors_in_one_line(name: str) -> Iterator[None]:
    """Turn a user's mistake into one line on stderr; leave our own bugs a traceback.

    With VIJAX_TRACEBACK=1 in the environment every error keeps its traceback.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # clean up, as for Ctrl-C
    try:
        yield
    except KeyboardInterrupt:
        print(f"{name}: interrupted; earlier results are unchanged", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError) as error:
        if os.environ.get("VIJAX_TRACEBACK"):
            raise
        print(f"{name}: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def execute(
    name: str, config: Any, run: Callable[[Any], Result], results: Path
) -> dict[str, Any]:
    """Run an experiment, write `results/<name>/`, and return what was written."""
    folder = writable_folder(Path(results) / name)
    started, start = datetime.now(UTC), time.perf_counter()
    result = run(config)
    seconds = time.perf_counter() - start
    images = {name: _png(figure) for name, figure in result.figures.items()}
    record = {
        "experiment": name,
        "config": _plain(dataclasses.asdict(config)),
        "dataset": result.dataset,
        "metrics": _plain(result.metrics),
        "environment": environment()
        | {
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(seconds, 2),
        },
    }
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    for figure_name, image in images.items():
        _replace(folder / f"{figure_name}.png", image)
    write_text(folder / "metrics.json", text)
    print(f"{name}: {seconds:.1f} s, wrote {folder}/", flush=True)
    return record


def writable_folder(folder: Path) -> Path:
    """Make a folder if need be; an OSError says before the work that it cannot be."""
    remedy = "choose another folder with --results"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(f"cannot write to {folder}: {error.strerror}; {remedy}") from None
    if not os.access(folder, os.W_OK):
        raise OSError(f"cannot write to {folder}: permission denied; {remedy}")
    return folder


def environment() -> dict[str, Any]:
    """Return the versions and the device that a result was made with."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "device": f"{jax.device_count()} x {jax.devices()[0].device_kind}",
        "cpu_cores": os.cpu_count(),
        "versions": {"vijax": vijax.__version__}
        | {package: metadata.version(package) for package in PACKAGES},
    }


def resolve_dataset(name: str) -> str:
    """Turn `auto` into MNIST where it is at hand, else the digits, and say which."""
    if name != "auto":
        return name
    name = "mnist" if data.is_available("mnist") else "digits"
    reason = "found" if name == "mnist" else "no MNIST at hand; set VIJAX_DATA_DIR"
    print(f"dataset: {name} ({reason})", flush=True)
    return name


def check_at_least(least: int, **values: int | float | None) -> None:
    """Raise a ValueError that names the first value below the least; None passes."""
    for name, value in values.items():
        if value is not None and not value >= least:
            raise ValueError(f"{name} = {value} is not valid: give {least} or more")


def check_positive(**values: float | None) -> None:
    """Raise a ValueError that names the first value not above 0; None passes."""
    for name, value in values.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} = {value} is not valid: give more than 0")


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    _replace(path, text.encode())


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context(style.RC):
        figure.savefig(stream, format="png")
    return stream.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Return JSON types only; arrays become lists, NaN and infinities null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        return _plain(np.asarray(value).tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return str(value) if isinstance(value, Path) else value
