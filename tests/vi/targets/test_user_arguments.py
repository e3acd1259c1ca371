"""Arguments as users have them: columns of data frames, and what is refused by name."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi

Y = np.array([1.0, 2.0, 3.0])


class Column:
    """As pandas has them: an array on request, of objects where numbers are missing."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)

    def to_numpy(self, dtype=None, na_value=None):
        filled = [na_value if value is None else value for value in self.values]
        return np.array(filled, dtype)

    __hash__ = None


@dataclass
class Experiment:
    y: np.ndarray


def model(y, sd=1.0):
    loc = numpyro.sample("loc", dist.Normal(0.0, 10.0))
    numpyro.sample("y", dist.Normal(loc, sd), obs=y)


def density(loc, y):
    return -jnp.sum((y - loc) ** 2)


@pytest.mark.parametrize("kind", [Column, np.ma.MaskedArray])
def test_columns_are_data(kind):
    position = jnp.array([0.3])
    for make in (
        lambda y: vi.from_numpyro(model, y),
        lambda y: vi.from_log_density(density, 0.0, y),
    ):
        target, expected = make(kind(Y)), make(Y)
        found = target.log_density(position)
        assert found == expected.log_density(position)
        assert target.static == expected.static  # so that nothing compiles anew


def test_columns_of_pandas():
    pandas = pytest.importorskip("pandas")
    expected = vi.from_numpyro(model, Y).log_density(jnp.array([0.3]))
    for column in (pandas.Series(Y), pandas.Series([1, 2, 3], dtype="Int64")):
        target = vi.from_numpyro(model, y=column)
        assert target.log_density(jnp.array([0.3])) == expected
    with pytest.raises(ValueError, match=r"y is a DataFrame: give y\.to_numpy\(\)"):
        vi.from_numpyro(model, pandas.DataFrame({"a": Y}))


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.ma.array(Y, mask=[0, 0, 1]), "y has masked entries"),
        (np.ma.array(Y, mask=[0, 0, 1], dtype=np.float32), "y has masked entries"),
        (np.array(["2026-11-27"], "datetime64[s]"), "y is of datetime64"),
        (np.array([1.0, None]), "y is of object, which is no number"),
        (Column(["a", "b"]), "y is of <U1, which is no number"),
        (Experiment(Y), "y is a Experiment, which JAX cannot look into"),
        (1.6e9 + np.arange(60.0), "numbers like 1600000000"),
        (
            np.array([5, 3_000_000_000]),
            "y has whole numbers up to 3000000000, and int3",
        ),
        (np.array([-(2**31) - 5]), "y has whole numbers up to 2147483653"),
        (np.array([2**32], np.uint64), "y has whole numbers up to 4294967296, and uin"),
        (2**40, "y has whole numbers up to 1099511627776"),
        (2**70, "y has whole numbers up to 1180591620717411303424"),
    ],
)
def test_what_cannot_be_data_is_named(float32, y, words):
    for args, kwargs in (([y], {}), ([], {"y": y})):
        with pytest.raises(ValueError, match=words):
            vi.from_numpyro(model, *args, **kwargs)


def test_a_density_of_ones_own_refuses_the_same(float32):
    with pytest.raises(ValueError, match="y has masked entries"):
        vi.from_log_density(density, 0.0, np.ma.array(Y, mask=Y > 2))
    with pytest.raises(ValueError, match="numbers like 1600000000"):
        vi.from_log_density(density, 0.0, 1.6e9 + np.arange(60.0))


def test_an_argument_is_named_as_the_density_names_it():
    with pytest.raises(ValueError, match=r"^sd is of <U1"):
        vi.from_numpyro(model, Y, np.array(["a"]))
    with pytest.raises(ValueError, match=r"^y has masked"):
        vi.from_numpyro(model, {"a": [Y, np.ma.array(Y, mask=Y > 2)]})


def test_numbers_that_are_missing_in_a_column_are_not_taken_for_others():
    target = vi.from_numpyro(model, Column([1.0, None, 3.0]))
    with pytest.raises(ValueError, match="check the data for NaN"):
        vi.fit(target, jax.random.key(0))


def test_new_arguments_after_a_fit_are_columns_too():
    fit = vi.fit(vi.from_numpyro(model, Y), jax.random.key(0))
    key = jax.random.key(1)
    found, expected = (vi.predict(fit, key, None, sd) for sd in (Column(Y), Y))
    np.testing.assert_array_equal(found["y"], expected["y"])
    with pytest.raises(ValueError, match="sd has masked entries"):
        vi.predict(fit, key, None, np.ma.array(Y, mask=Y > 2))


def test_whole_numbers_that_fit_are_data_of_their_type(float32):
    for y in (np.array([2**31 - 1]), np.array([2**32 - 1], np.uint32), np.int64(7)):
        target = vi.from_numpyro(model, y)
        assert target.data[0].dtype in (np.int32, np.uint32)
        assert int(np.max(target.data[0])) == int(np.max(y))
    with jax.enable_x64(True):
        assert int(vi.from_numpyro(model, np.array([2**40])).data[0][0]) == 2**40


def test_a_text_is_a_constant():
    def named(y, kind):
        model(y, sd=1.0 if kind == "narrow" else 2.0)

    position = jnp.array([0.0])
    found, expected = (
        vi.from_numpyro(named, Y, kind).log_density(position)
        for kind in (np.str_("narrow"), "narrow")
    )
    assert found == expected
    record = np.zeros(2, [("x", float)])
    with pytest.raises(ValueError, match="which is no number"):
        vi.from_numpyro(named, record, "narrow")
