"""The identity of functions: what counts, what does not, in which Python."""

import functools
import importlib.util
import math
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from vijax import fingerprint
from vijax.vae import models
from vijax.vae.models import losses

ROOT = Path(__file__).resolve().parents[1]
MODULE = """
import dataclasses
import functools

SCALE = 2.0
OFFSETS = (1, 2)


def inner(x):
    return SCALE * x


@dataclasses.dataclass(frozen=True)
class Config:
    floor: float = 0.25


CONFIG = Config()


@functools.lru_cache
def remembered(x):
    return x + CONFIG.floor


def unused(x):
    return x


def twice(function):
    @functools.wraps(function)
    def wrapper(x):
        return 2 * function(x)
    return wrapper


class Line:
    def __init__(self, slope):
        self.slope = slope

    def __call__(self, x):
        return self.slope * x


def make(power, table={"a": 1}):
    def loss(x, *, shift=0.5):
        y = inner(remembered(x)) ** power
        return y + shift + sum(y for y in OFFSETS) + table["a"]
    return loss


@twice
def wrapped(x):
    return x + 1


thing = make(3)
"""


def load(tmp_path, text, count=[0]):  # noqa: B006
    """Import the text as a module of the same name, from a file of its own."""
    count[0] += 1
    path = tmp_path / f"mine{count[0]}.py"
    path.write_text(text)
    spec = importlib.util.spec_from_file_location("mine", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def of(tmp_path, text, name="thing"):
    return fingerprint.fingerprint(getattr(load(tmp_path, text), name))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("+ shift", "- shift"),  # the text
        ("shift=0.5", "shift=0.6"),  # a default
        ("make(3)", "make(4)"),  # a closure's number
        ('{"a": 1}', '{"a": 2}'),  # and a default in a closure
        ("SCALE * x", "SCALE + x"),  # a function found by a global name
        ("SCALE = 2.0", "SCALE = 3.0"),  # a number found by it in turn
        ("(1, 2)", "(1, 3)"),  # a global inside a generator
        ("x + CONFIG", "x - CONFIG"),  # a decorated function
        ("floor: float = 0.25", "floor: float = 0.5"),  # a global dataclass
        ("def loss(x", "def loss(z"),
    ],
)
def test_an_edit_is_another_function(tmp_path, before, after):
    assert before in MODULE
    assert of(tmp_path, MODULE) != of(tmp_path, MODULE.replace(before, after))


def test_what_is_not_used_does_not_count(tmp_path):
    other = MODULE.replace("return x\n", "return 2 * x\n").replace("SCALE = ", "SCALE=")
    assert other != MODULE
    assert of(tmp_path, MODULE) == of(tmp_path, "\n\n" + other)


def test_a_wrappers_own_text_counts(tmp_path):
    for before, after in (("2 * function", "3 * function"), ("x + 1", "x + 2")):
        edited = MODULE.replace(before, after)
        assert of(tmp_path, MODULE, "wrapped") != of(tmp_path, edited, "wrapped")


def test_an_object_that_is_called(tmp_path):
    module = load(tmp_path, MODULE)
    edited = load(tmp_path, MODULE.replace("self.slope * x", "self.slope + x"))
    lines = [module.Line(1.0), module.Line(2.0), edited.Line(1.0), module.Line(1.0)]
    found = [fingerprint.fingerprint(line) for line in lines]
    assert len(set(found)) == 3
    assert found[0] == found[3]


def test_lambdas_on_one_line_differ():
    functions = [lambda x: x + 1, lambda x: x + 2]
    assert len({fingerprint.fingerprint(f) for f in functions}) == 2


def test_without_a_source_the_bytecode_counts(monkeypatch):
    def made(text):
        space = {}
        exec(text, space)
        return space["f"]

    first = fingerprint.fingerprint(made("def f(x): return x + 1"))
    assert first == fingerprint.fingerprint(made("def f(x): return x + 1"))
    assert first != fingerprint.fingerprint(made("def f(x): return x + 2"))
    monkeypatch.setattr(sys, "version_info", (3, 99))
    assert first != fingerprint.fingerprint(made("def f(x): return x + 1"))


def test_values_of_every_kind():
    things = [
        1,
        1.0,
        True,
        "1",
        None,
        (1, 2),
        (1, (2,)),
        (1, (2,), 3),
        (1, (2, 3)),
        {"a": 1},
        {1, 2},
        np.float32(1),
        np.arange(3),
        np.arange(3.0),
        np.arange(4),
        jnp.arange(3.0) + 1,
        jax.random.key(0),
        jax.random.key(1),
        np.dtype("float32"),
        math.sin,
        math.cos,
        np.exp,
        np.expm1,
        jnp.exp,
        jnp.expm1,
        functools.partial(max, 1),
        functools.partial(max, 2),
        optax.adam(0.1),
        optax.adam(0.1, b1=0.8),
        optax.adam(optax.piecewise_constant_schedule(0.1, {1_000_000: 0.5})),
        optax.adam(optax.piecewise_constant_schedule(0.1, {1_000_000: 0.4})),
    ]
    found = [fingerprint.fingerprint(thing) for thing in things]
    assert len(set(found)) == len(things)
    assert found[-4] == fingerprint.fingerprint(optax.adam(0.1))


def test_temporary_objects_do_not_hide_one_another():
    # Objects that were freed lend their ids to others.
    def make(value):
        return lambda x: x + value

    nested = [make(make(make(float(i)))) for i in range(20)]
    assert len({fingerprint.fingerprint(f) for f in nested}) == 20


def test_it_is_values_that_count_not_whether_they_are_one_object():
    one = [1.5, 2.5]
    assert fingerprint.fingerprint((one, one)) == fingerprint.fingerprint(
        (one, list(one))
    )


def test_functions_that_call_each_other(tmp_path):
    text = """
def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)
"""
    assert of(tmp_path, text, "even") == of(tmp_path, text, "even")
    assert of(tmp_path, text, "even") != of(
        tmp_path, text.replace("n != 0", "n > 0"), "even"
    )


def test_what_cannot_be_told_apart_is_refused():
    lock = threading.Lock()

    def loss(params):
        return lock

    with pytest.raises(ValueError, match="has no fingerprint, so a run that uses it"):
        fingerprint.fingerprint(loss)
    with pytest.raises(ValueError, match="array of objects has no"):
        fingerprint.fingerprint(np.array([lock]))


def test_about_says_numbers_and_hides_arrays():
    found = fingerprint.about(
        epochs=3, rate=0.1, key=jax.random.key(5), x=np.arange(3), stop=None
    )
    x = found.pop("x")
    assert found == {"epochs": "3", "rate": "0.1", "key": "[0, 5]", "stop": "None"}
    assert x == f"ndarray (SHA-256 {fingerprint.fingerprint(np.arange(3))[:16]})"


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import mine
from vijax.fingerprint import fingerprint
print(fingerprint(mine.thing), fingerprint(mine.wrapped), fingerprint(mine.Line(2.0)))
"""


def elsewhere(python, tmp_path):
    (tmp_path / "mine.py").write_text(MODULE)
    return subprocess.run(
        [python, "-c", PROGRAM, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.thorough
def test_another_process_gives_the_same(tmp_path):
    module = load(tmp_path, MODULE)
    things = (module.thing, module.wrapped, module.Line(2.0))
    found = elsewhere(sys.executable, tmp_path)
    assert found.stdout.split() == [*map(fingerprint.fingerprint, things)], found.stderr


def other_pythons():
    """Return the other versions of Python that are there and have JAX.

    They are looked for on PATH and before it in the folders of VIJAX_TEST_PYTHONS.
    """
    folders = [os.environ.get("VIJAX_TEST_PYTHONS", ""), os.environ["PATH"]]
    versions = {minor for minor in range(11, 16)} - {sys.version_info.minor}
    names = (f"python3.{minor}" for minor in sorted(versions))
    found = (shutil.which(name, path=os.pathsep.join(folders)) for name in names)
    has_jax = ["-c", "import importlib.util as u; exit(u.find_spec('jax') is None)"]
    return [
        path
        for path in found
        if path and not subprocess.run([path, *has_jax]).returncode
    ]


def test_another_python_gives_the_same(tmp_path):
    others = other_pythons()
    if not others:
        pytest.skip("no other Python with JAX here")
    module = load(tmp_path, MODULE)
    things = (module.thing, module.wrapped, module.Line(2.0))
    for python in others:
        found = elsewhere(python, tmp_path)
        expected = [*map(fingerprint.fingerprint, things)]
        assert found.stdout.split() == expected, found.stderr


def test_losses_of_the_package():
    model, other = models.vae((4,), hidden=(3,)), models.vae((4,), hidden=(5,))
    made = [
        losses.negative_elbo(model),
        losses.negative_elbo(model, beta=2.0),
        losses.negative_elbo(other),
        losses.negative_iwae(model, num_samples=2),
        losses.negative_iwae(model, num_samples=2, gradient="dreg"),
    ]
    assert len({fingerprint.fingerprint(loss) for loss in made}) == len(made)
    losses.negative_elbo.cache_clear()
    anew = losses.negative_elbo(model)
    assert anew is not made[0]
    assert fingerprint.fingerprint(anew) == fingerprint.fingerprint(made[0])
