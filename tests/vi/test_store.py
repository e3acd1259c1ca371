"""A fit in a file: the same bits after loading, and refusals of what does not fit."""

import importlib
import inspect
import json
import os
import resource
import subprocess
import sys
import types
import zipfile
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.families.spiked import SpikedNormal
from vijax.vi.families.structured import StructuredNormal
from vijax.vi.methods.mode_search import Modes
from vijax.vi.result import Chains
from vijax.vi.targets.structure.dependencies import Group, Structure

DIM = 2


def model(x, y, scale=1.0):
    w = numpyro.sample("w", dist.Normal(jnp.zeros(DIM), scale).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    mu = numpyro.deterministic("mu", x @ w)
    numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


# As `model`, but for one thing; of the same name, for the source to tell.
def _changed() -> Any:
    def model(x, y, scale=1.0):
        w = numpyro.sample("w", dist.Normal(jnp.zeros(DIM), scale).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(2.0))
        mu = numpyro.deterministic("mu", x @ w)
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)

    return model


def _reworded() -> Any:
    def model(x, y, scale=1.0):
        w = numpyro.sample("w", dist.Normal(jnp.zeros(DIM), scale).to_event(1))
        sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
        mean = numpyro.deterministic("mu", x @ w)
        numpyro.sample("y", dist.Normal(mean, sigma), obs=y)

    return model


def make_data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, DIM))
    return x, x @ np.array([1.0, -2.0]) + 0.5 * rng.normal(size=30)


@pytest.fixture(scope="module")
def fit():
    target = vi.from_numpyro(model, *make_data(), scale=2.5)
    return vi.fit(target, jax.random.key(0))


@pytest.fixture(scope="module")
def path(fit, tmp_path_factory):
    return vi.save(fit, tmp_path_factory.mktemp("store") / "fit.npz")


def same_bits(one, other):
    leaves, treedef = jax.tree.flatten(one)
    others, other_treedef = jax.tree.flatten(other)
    assert treedef == other_treedef
    for a, b in zip(leaves, others, strict=True):
        assert type(a) is type(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_same_fit_from_model_and_from_target(fit, path):
    target = vi.from_numpyro(model, *make_data(), scale=2.5)
    for given in (model, partial(model, scale=2.5), target):
        loaded = vi.load(path, given)
        same_bits(fit, loaded)
    assert str(loaded) == str(fit)
    drawn, again = (vi.sample(one, jax.random.key(1), 7) for one in (fit, loaded))
    same_bits(drawn, again)
    assert drawn["mu"].shape == (7, 30)


def q_of(name):
    loc, scale = jnp.array([0.1, 0.2, 0.3]), jnp.array([1.0, 2.0, 3.0])
    if name == "spiked":
        directions = jnp.array([[1.0], [0.0], [0.0]])
        return SpikedNormal(loc, jnp.log(scale), directions, jnp.array([2.0]))
    if name == "affine":
        inner = vi.MeanField().init(loc, scale)
        return vi.families.base.Affine(inner, loc, scale)
    families = {
        "mean_field": vi.MeanField(),
        "full_rank": vi.FullRank(),
        "low_rank": vi.LowRank(rank=2),
        "flow": vi.Flow(num_couplings=2, hidden=3),
        "mixture": vi.Mixture(),
    }
    return families[name].init(loc, scale)


@pytest.mark.parametrize(
    "name",
    ["mean_field", "full_rank", "low_rank", "flow", "mixture", "spiked", "affine"],
)
def test_every_family_comes_back(fit, tmp_path, name):
    other = fit._replace(q=q_of(name))
    loaded = vi.load(vi.save(other, tmp_path / name), model)
    same_bits(other, loaded)
    assert type(loaded.q) is type(other.q)


def with_chains(fit):
    """Return the fit with numbers in the place of chains, and a mode."""
    rng = np.random.default_rng(1)
    ones = np.ones(3)
    positions = jnp.asarray(rng.normal(size=(2, 50, fit.target.dim)), jnp.float32)
    return fit._replace(
        chains=Chains(positions, 1.25, ones, 2 * ones, ones, ones, ones, 3),
        modes=Modes(
            np.zeros((1, 3)), np.eye(3)[None], np.array([0.25]), np.array([True])
        ),
    )


def test_chains_and_modes_come_back(fit, tmp_path):
    other = with_chains(fit)
    loaded = vi.load(vi.save(other, tmp_path / "fit"), model)
    same_bits(other, loaded)
    draws, again = (vi.sample(one, jax.random.key(1), 5) for one in (other, loaded))
    same_bits(draws, again)
    assert loaded.chains.visits == 1.25
    assert loaded.chains.r_hat.dtype == np.float64


def test_structured_comes_back_with_the_loaded_target(fit, tmp_path):
    index = jnp.array([[0], [1]])
    structure = Structure(jnp.array([2]), (Group(index, 0),), jnp.array([1, 2, 0]))
    globals_ = vi.FullRank().init(jnp.zeros(1), jnp.ones(1))
    start = (jnp.zeros((2, 1)),)
    q = StructuredNormal(globals_, start, structure, fit.target)
    other = with_chains(fit)._replace(q=q)
    loaded = vi.load(vi.save(other, tmp_path / "fit"), model)
    same_bits(other, loaded)
    assert loaded.q.target is loaded.target
    stranger = q._replace(target=target_of(scale=1.0))
    with pytest.raises(ValueError, match="its q is of another target than itself"):
        vi.save(other._replace(q=stranger), tmp_path / "fit")


class Own(NamedTuple):
    loc: Any

    def transform(self, eps):
        return self.loc + eps

    def log_prob(self, z):
        return -0.5 * jnp.sum((z - self.loc) ** 2, axis=-1)


def test_family_of_ones_own_is_made_only_where_it_is_named(fit, tmp_path):
    other = fit._replace(q=Own(jnp.ones(3)))
    path = vi.save(other, tmp_path / "fit")
    with pytest.raises(ValueError, match=r"holds a Own, .* give its class in types"):
        vi.load(path, model)
    same_bits(other, vi.load(path, model, types=(Own,)))


@pytest.mark.thorough
def test_fit_of_a_plain_density_comes_back(tmp_path, key):
    def log_density(p, shift):
        return -0.5 * jnp.sum((p["x"] - shift) ** 2) - 2.0 * (p["y"][0] - 1) ** 2

    init = {"x": jnp.zeros(2), "y": [0.0]}
    target = vi.from_log_density(log_density, init, jnp.arange(2.0))
    fit = vi.fit(target, key)
    path = vi.save(fit, tmp_path / "fit")
    loaded = vi.load(path, log_density)
    same_bits(fit, loaded)
    same_bits(vi.sample(fit, key, 3), vi.sample(loaded, key, 3))
    other = vi.from_log_density(log_density, init, jnp.arange(2.0) + 1)
    with pytest.raises(ValueError, match=r"of the arguments, shift is float\d\d"):
        vi.load(path, other)


@pytest.mark.thorough
def test_fit_that_went_to_float64_comes_back_there(tmp_path, key):
    def log_density(p, y):
        return 3e8 + jnp.sum(-0.5 * (p["x"] - y) ** 2)

    target = vi.from_log_density(log_density, {"x": jnp.zeros(2)}, jnp.ones(2) / 3)
    fit = vi.fit(target, key)
    assert fit.q.loc.dtype == np.float64
    path = vi.save(fit, tmp_path / "fit")
    for given in (log_density, target):
        loaded = vi.load(path, given)
        same_bits(fit, loaded)
    same_bits(vi.sample(fit, key, 3), vi.sample(loaded, key, 3))


@pytest.mark.slow
def test_arguments_that_a_partial_had_fixed_stay_so(fit, tmp_path):
    x, y = make_data()
    target = vi.from_numpyro(partial(model, scale=2.5), x, y)
    other = fit._replace(target=target)
    loaded = vi.load(vi.save(other, tmp_path / "fit"), model)
    assert loaded.target.static == target.static
    found = vi.predict(loaded, jax.random.key(0), x[:3], None, num_samples=5)
    again = vi.predict(other, jax.random.key(0), x[:3], None, num_samples=5)
    same_bits(dict(found), dict(again))
    assert found["y"].shape == (5, 3)


# ---- refusals ----


def target_of(**changes):
    x, y = make_data()
    given = {"x": x, "y": y, "scale": 2.5, "model": model} | changes
    return vi.from_numpyro(given.pop("model"), **given)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_changed, "the source of model, or of what it calls, has changed"),
        (_reworded, "the source of model, or of what it calls, has changed"),
        (lambda: partial(model, scale=1.5), "of the arguments, scale is"),
        (lambda: target_of(scale=1.5), "of the arguments, scale is"),
        (
            lambda: target_of(y=make_data()[1] + 1),
            r"arguments, y is float\d\d\[30\],",
        ),
        (
            lambda: target_of(x=make_data()[0][:20], y=make_data()[1][:20]),
            r"x is float\d\d\[30, 2\].* there and float\d\d\[20, 2\].* here",
        ),
        (lambda: lambda x: None, "model is not the one that"),
    ],
)
def test_what_does_not_fit_is_refused(path, make, words):
    with pytest.raises(ValueError, match=words):
        vi.load(path, make())


def test_a_model_of_another_module_is_told(fit, path):
    given = model.__code__, model.__globals__, "model", model.__defaults__
    moved = types.FunctionType(*given)
    moved.__module__ = "elsewhere"
    with pytest.raises(ValueError, match="and the model is of elsewhere: give it as"):
        vi.load(path, moved)
    same_bits(fit.q, vi.load(path, moved, same_source=False).q)


def test_words_may_change_but_values_may_not(fit, path):
    same_bits(fit.q, vi.load(path, _reworded(), same_source=False).q)
    with pytest.raises(ValueError, match="log density has other values at draws of q"):
        vi.load(path, _changed(), same_source=False)

    def more(x, y, scale=1.0):
        model(x, y, scale)
        numpyro.sample("z", dist.Normal(0.0, 1.0))

    with pytest.raises(ValueError, match="of the unknowns, order is"):
        vi.load(path, more, same_source=False)


def test_without_data_the_target_is_wanted(fit, tmp_path, path):
    small = vi.save(fit, tmp_path / "fit.npz", keep_data=False)
    with np.load(small) as arrays:
        assert not any(name.startswith("data") for name in arrays)
    with pytest.raises(ValueError, match="which holds no data: give the target"):
        vi.load(small, model)
    same_bits(fit.q, vi.load(small, target_of()).q)


def test_damaged_files_are_refused(path, tmp_path):
    whole = path.read_bytes()
    broken = tmp_path / "broken.npz"
    for size in (0, 10, len(whole) // 2, len(whole) - 1):
        broken.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"broken.npz is damaged, truncated, or"):
            vi.load(broken, model)
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("fit.q.loc.npy").header_offset + 200
    flipped = bytearray(whole)
    flipped[place] ^= 1
    broken.write_bytes(flipped)
    with pytest.raises(ValueError, match="is damaged, truncated"):
        vi.load(broken, model)
    with pytest.raises(FileNotFoundError):
        vi.load(tmp_path / "none", model)


def with_header(path, to, **changes):
    """Copy a file with changes of its header."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(to, "w") as new:
        for info in old.infolist():
            content = old.read(info)
            if info.filename == "header.json":
                content = json.dumps(json.loads(content) | changes).encode()
            new.writestr(info, content)
    return to


def test_foreign_and_newer_files_are_refused(path, tmp_path):
    newer = with_header(path, tmp_path / "newer", version=2)
    with pytest.raises(ValueError, match="is of version 2, and this vijax reads"):
        vi.load(newer, model)
    other = with_header(path, tmp_path / "other", kind="table")
    with pytest.raises(ValueError, match="holds a table, not a fit"):
        vi.load(other, model)
    foreign = tmp_path / "foreign.npz"
    np.savez(foreign, x=np.arange(3))
    with pytest.raises(ValueError, match="or no file of vijax"):
        vi.load(foreign, model)
    # An array of objects would run code where pickle is allowed.
    np.savez(foreign, **{"fit.q.loc": np.array([print], object)})
    with zipfile.ZipFile(foreign) as bad, zipfile.ZipFile(path) as good:
        contents = {name: good.read(name) for name in good.namelist()}
        contents["fit.q.loc.npy"] = bad.read("fit.q.loc.npy")
    with zipfile.ZipFile(foreign, "w") as file:
        for name, content in contents.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        vi.load(foreign, model)


def test_full_disk_leaves_the_old_file(fit, path, tmp_path):
    place = tmp_path / "fit.npz"
    place.write_bytes(path.read_bytes())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*fit\.npz: File too large"):
            vi.save(fit, place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert place.read_bytes() == path.read_bytes()
    assert os.listdir(tmp_path) == ["fit.npz"]


def test_arguments_in_the_wrong_order_are_named(fit, path, tmp_path):
    save, load = map(inspect.unwrap, (vi.save, vi.load))  # tests check their types
    with pytest.raises(ValueError, match=r"it is a PosixPath; give a fit and then its"):
        save(tmp_path / "fit.npz", fit)
    with pytest.raises(ValueError, match=r"it is a function; give the file's path"):
        load(model, path)


def test_a_device_is_not_replaced_by_a_file(fit, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="it is a device, give a file"):
        vi.save(fit, pipe)
    assert os.listdir(tmp_path) == ["pipe"]
    assert not pipe.is_file()


@pytest.mark.slow
def test_other_precision_and_stacks_are_refused(fit, path, x64, tmp_path):
    with pytest.raises(ValueError, match="jax_enable_x64 = False, and it is True"):
        vi.load(path, model)
    stack = jax.tree.map(lambda x: jnp.stack([x, x]), fit)
    with pytest.raises(ValueError, match="a stack of fits"):
        vi.save(stack, tmp_path / "fit")


# ---- in another process ----

MODEL = """
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

def model(x, y):
    w = numpyro.sample("w", dist.Normal(jnp.zeros(x.shape[1]), 2.5).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    mu = numpyro.deterministic("mu", x @ w)
    with numpyro.plate("rows", x.shape[0]):
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)
"""
SCRIPT = """
import hashlib
import sys
import jax
import numpy as np
from own_model import model
from vijax import vi

def digest(fit, summarised):
    key = jax.random.key(5)
    trees = [fit, vi.sample(fit, key, 100)]
    if summarised:
        trees += [dict(vi.summary(fit)), dict(vi.predict(fit, key, num_samples=50))]
    leaves = [np.asarray(x).tobytes() for x in jax.tree.leaves(trees)]
    return f"{len(leaves)} {hashlib.sha256(b''.join(leaves)).hexdigest()}"

if __name__ == "__main__":
    for path in sys.argv[1:]:
        print(digest(vi.load(path, model), len(sys.argv) > 2))
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return modules that another process can import too: a model, and a digest."""
    (tmp_path / "own_model.py").write_text(MODEL)
    (tmp_path / "own_script.py").write_text(SCRIPT)
    monkeypatch.syspath_prepend(tmp_path)
    names = ("own_model", "own_script")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield [importlib.import_module(name) for name in names]
    for name in names:
        sys.modules.pop(name, None)


def in_another_process(folder, fits):
    paths = [vi.save(fit, folder / f"{number}") for number, fit in enumerate(fits)]
    root = Path(vi.__path__[0]).parents[1]
    done = subprocess.run(
        [sys.executable, folder / "own_script.py", *paths],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.thorough
def test_same_bits_in_another_process(own, tmp_path, key):
    own_model, own_script = own
    fit = vi.fit(vi.from_numpyro(own_model.model, *make_data()), key)
    assert in_another_process(tmp_path, [fit]) == [
        own_script.digest(fit, summarised=False)
    ]


@pytest.mark.slow
def test_all_families_in_another_process(own, tmp_path, key):
    own_model, own_script = own
    target = vi.from_numpyro(own_model.model, *make_data())
    names = ("full_rank", "low_rank", "flow", "mixture", "laplace", "pathfinder")
    fits = [vi.fit(target, key, family=name) for name in names]
    fits.append(vi.nuts(fits[0], key))
    groups = vi.from_numpyro(own_model.model, np.eye(12), np.arange(12.0))
    fits.append(vi.fit(groups, key, family="structured"))
    found = in_another_process(tmp_path, fits)
    assert found == [own_script.digest(fit, summarised=True) for fit in fits]
