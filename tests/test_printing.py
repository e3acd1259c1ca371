"""What results look like: in words and digits, and inside of a trace."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import printing


def test_a_table_is_cut_after_twenty_rows():
    text = printing.described("Counts", {"n": np.arange(30)}).splitlines()
    assert text[0] == "Counts"
    assert text[2].split() == ["[0]", "0"]
    assert text[21].split() == ["[19]", "19"]
    assert text[22:] == ["  … 10 more"]


def test_a_batch_of_two_axes_has_a_row_for_each_element():
    text = printing.described("n", {"a": np.eye(2), "b": np.ones((2, 2)), "c": 3.0})
    rows = [line.split() for line in text.splitlines()]
    assert rows[1] == ["c", "3"]
    assert rows[2:5] == [["a", "b"], ["[0,", "0]", "1", "1"], ["[0,", "1]", "0", "1"]]


@pytest.mark.parametrize("value", [None, object(), "words", {"a": 1}, [1, "x"]])
def test_anything_else_prints_as_it_is(value):
    assert printing.number(value) == str(value)
    assert str(value) in printing.described("n", {"a": value})
    assert printing.in_digits(value, 1.0) == f"{value} ± 1.0"


def test_a_traced_value_prints_its_type_and_shape():
    seen = []

    @jax.jit
    def f(x):
        seen.append(printing.number(x))
        seen.append(printing.in_digits(x[0], 1.0))
        seen.append(printing.described("n", {"x": x, "y": 1.0}))
        seen.append(printing.percent(x))
        return x

    f(jnp.ones(3, jnp.float32))
    assert seen[:2] == ["traced float32[3]", "traced float32[]"]
    assert seen[2] == "n\n  x  traced float32[3]\n  y  1"
    assert seen[3] == "? %"


def test_a_level_that_differs_or_is_none_is_not_told():
    assert printing.percent([0.9, 0.9]) == "90 %"
    assert printing.percent([0.9, 0.95]) == "? %"
    assert printing.percent([np.nan, 0.9]) == printing.percent(1.8) == "? %"


def test_numbers_of_estimates():
    assert str(printing.Estimate(1.0, np.nan)) == "1 ± nan"
    both = printing.Estimate(np.array([1.0, 2.0]), np.array([0.1, 0.2]))
    assert repr(both).splitlines()[3].split() == ["[1]", "2", "0.2"]
