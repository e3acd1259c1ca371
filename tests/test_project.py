"""What a user meets first: the installation, the import, and `make`."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import vijax
from vijax import extras

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# What costs a tenth of a second or more to import, or is an extra.
NEVER = (
    "arviz",
    "array_record",
    "h5py",
    "hist",
    "matplotlib",
    "orbax",
    "pandas",
    "pyarrow",
    "scipy.stats",
    "sklearn",
    "tensorflow",
    "tensorflow_datasets",
    "uproot",
)


def python(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout


def test_imports_are_light_and_allocate_no_device_array() -> None:
    """One process imports all, the lightest first: what is absent, none of them has."""
    absent = {
        "special": ("numpyro", "optax", "flax", *NEVER),
        "sweep": ("optax", "flax", *NEVER),
        "optimize": ("optax", "flax", *NEVER),
        "data": ("optax", "flax", *NEVER),
        "bayes": ("optax", "flax", *NEVER),
        "vi.fitting": ("optax", "flax", *NEVER),
        "metrics.roc": ("flax", *NEVER),
        "physics": ("flax", "pyhf", *NEVER),
        "vae.training.train": NEVER,
        "vae.evaluation.log_evidence": NEVER,
        "vae.compression.bits_back": NEVER,
    }
    lines = ["import sys, jax"]
    for name in absent:
        lines.append(f"import vijax.{name}")
        lines.append("print(len(jax.live_arrays()), *sys.modules)")
    output = python("\n".join(lines)).splitlines()
    for (name, modules), line in zip(absent.items(), output, strict=True):
        live, *loaded = line.split()
        assert live == "0", name
        assert not set(modules) & set(loaded), name


@pytest.mark.thorough
def test_parts_load_when_they_are_named() -> None:
    code = """
import sys
import vijax
print(*sorted({"jax", "numpy", "vijax.vi"} & set(sys.modules)))
print(vijax.vi.fit.__name__, vijax.bayes.beta_binomial.__name__)
print(vijax.vae.__name__, vijax.data.load("digits").name)
print(vijax.vi is sys.modules["vijax.vi"])
"""
    assert python(code).splitlines() == [
        "",
        "fit vijax.bayes.conjugate.beta_binomial",
        "vijax.vae digits",
        "True",
    ]


def test_dir_lists_the_parts_and_nothing_else() -> None:
    parts = "bayes checkpoint data metrics optimize physics plot special sweep types"
    assert dir(vijax) == ["__version__", *parts.split(), "vae", "vi"]
    with pytest.raises(AttributeError, match="'vijax' has no attribute 'vea'"):
        vijax.vea  # noqa: B018


@pytest.mark.parametrize(
    "extra",
    [
        *("arviz", "data", "experiments", "hdf5", "hist", "parquet", "physics"),
        *("plot", "root"),
    ],
)
def test_a_missing_extra_names_its_installation(extra, monkeypatch) -> None:
    assert extra in PROJECT["optional-dependencies"]
    monkeypatch.setitem(sys.modules, "not_here", None)
    with pytest.raises(ImportError) as error:
        extras.require("not_here.part", extra=extra, purpose="this")
    assert str(error.value) == (
        f"this needs not_here: in the checkout of vijax run pip install -e '.[{extra}]'"
    )


def test_a_broken_dependency_is_not_called_missing(tmp_path, monkeypatch) -> None:
    (tmp_path / "needs_more.py").write_text("import absent_from_it")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="'absent_from_it'"):
        extras.require("needs_more", extra="data", purpose="this")


def test_there_is_one_version() -> None:
    assert PROJECT["dynamic"] == ["version"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert re.findall(r"^version: (.*)$", citation, re.M) == [vijax.__version__]


def test_no_hint_installs_the_other_project_of_that_name() -> None:
    """`vijax` on the package index is not this project: install from the checkout."""
    assert PROJECT["name"] != "vijax"
    texts = [ROOT / "Makefile", *ROOT.glob("*.md"), *ROOT.glob("*.toml")]
    for folder in ("vijax", "experiments", "docs", ".github", ".ci"):
        texts += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    fetches = re.compile(rb"pip3? (install|download)[^\n]*[\s'\"]vijax(\W|$)")
    for path in texts:
        assert not fetches.search(path.read_bytes()), path


def test_the_lowest_versions_are_those_of_the_project() -> None:
    pins = {}
    for line in (ROOT / "constraints-lowest.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            pins[name.lower().replace("_", "-")] = Version(version)
    extra = PROJECT["optional-dependencies"]
    files = ("hdf5", "hist", "parquet", "physics", "root")
    lines = [
        *PROJECT["dependencies"],
        *(line for name in files for line in extra[name]),
    ]
    lines += [*extra["data"], *extra["plot"], *extra["experiments"], *extra["dev"]]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name != PROJECT["name"]:
            (bound,) = requirement.specifier
            name = requirement.name.lower().replace("_", "-")
            assert (bound.operator, Version(bound.version)) == (">=", pins[name])


def test_flags_that_this_xla_does_not_know_are_left_out() -> None:
    flags = ["--xla_of_another_version=0", "--xla_backend_optimization_level=0"]
    command = [sys.executable, "tests/xla_flags.py", *flags]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, cwd=ROOT
    )
    assert found.stdout.split() == flags[1:]


def test_make_alone_lists_every_target() -> None:
    output = subprocess.run(
        ["make"], check=True, capture_output=True, text=True, cwd=ROOT
    ).stdout
    names = {line.split()[0] for line in output.splitlines() if line[:2] == "  "}
    targets = [
        "setup",
        "lecture",
        "report",
        "test",
        "test-all",
        "test-arviz",
        "lint",
        "dist",
        "bench",
        "clean",
        "coin-flip",
        "vae",
    ]
    assert names >= set(targets)
    assert all(len(line.split()) > 1 for line in output.splitlines())
