"""Pytrees as JSON and arrays: they come back with their types, and call nothing."""

import json
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax.tree_encoding import decode, encode


class Pair(NamedTuple):
    first: Any
    second: Any


@dataclass(frozen=True)
class Record:
    name: str
    value: Any


TYPES = {"Pair": Pair, "Record": Record}


def through_json(tree, types=TYPES):
    arrays: dict[str, np.ndarray] = {}
    code = json.loads(json.dumps(encode(tree, arrays)))
    return decode(code, arrays, types)


def test_structure_and_types_come_back():
    tree = {
        "pair": Pair((1, 2.5, None), [True, "text"]),
        "record": Record("r", np.float32(1.5)),
        3: float("-inf"),
    }
    found = through_json(tree)
    assert found == tree
    assert type(found["record"].value) is np.float32
    assert np.isnan(through_json(float("nan")))


@pytest.mark.usefixtures("nan_is_an_answer")
def test_arrays_keep_type_bits_and_kind():
    wide = np.array([1 / 3, np.nan])
    assert through_json(wide).tobytes() == wide.tobytes()
    with jax.enable_x64(True):
        array = jnp.asarray(wide)
    found = through_json(array)  # outside, where JAX's own setting is float32
    assert isinstance(found, jax.Array)
    assert np.asarray(found).tobytes() == wide.tobytes()
    weak = jnp.asarray(0.1)
    assert through_json(weak).weak_type
    assert through_json(weak) == weak
    key = jax.random.key(3, impl="rbg")
    found = through_json(key)
    assert jax.random.key_impl(found) == jax.random.key_impl(key)
    assert (jax.random.key_data(found) == jax.random.key_data(key)).all()


def test_scalars_keep_their_type():
    # np.float64 is a float too.
    for value in (np.float64(0.1), np.bool_(True), np.int8(3), True, 0.1, -0.0):
        found = through_json(value)
        assert type(found) is type(value)
        assert str(found) == str(value)


def test_arrays_at_places_of_one_name_stay_apart():
    tree = {"a.b": np.ones(1), "a": {"b": np.ones(2)}, 1: np.ones(3), "1": np.ones(4)}
    tree["a b"], tree["a/b"] = np.ones(5), np.ones(6)
    found = through_json(tree)
    assert found.keys() == tree.keys()
    assert found["a"].pop("b").size == 2
    sizes = [found[key].size for key in ("a.b", 1, "1", "a b", "a/b")]
    assert sizes == [1, 3, 4, 5, 6]


class Made(NamedTuple):
    recipe: Any


def test_recipes_call_what_the_reader_names():
    class Recipe(NamedTuple):
        constructor: str
        arguments: tuple[tuple[str, Any], ...]

    made = Made(Recipe("sum", (("first", 1), ("second", (2, 3)))))
    code = encode(made, {}, types={"sum": Pair})
    assert decode(code, {}, {"sum": Pair}) == Pair(1, (2, 3))
    with pytest.raises(ValueError, match="cannot be stored: it is a Made"):
        encode(made, {}, types={"Made": Made})
    plain = Made("two eggs")
    assert through_json(plain, {"Made": Made}) == plain


def test_a_class_of_a_known_name_is_another_one():
    known = {"Pair": Record}
    with pytest.raises(ValueError, match="cannot be stored: it is a Pair"):
        encode(Pair(1, 2), {}, types=known)


def test_what_is_given_is_not_stored():
    model = object()
    arrays: dict[str, np.ndarray] = {}
    code = encode([model, 1], arrays, given=lambda x: "m" if x is model else None)
    assert code == {"list": [{"given": "m"}, 1]}
    assert decode(code, arrays, {}, {"m": model}) == [model, 1]


def test_other_things_are_refused():
    with pytest.raises(ValueError, match=r"x\.a = .* cannot be stored: it is a set"):
        encode({"a": {1, 2}}, {})
    code = encode(Pair(1, 2), {})
    with pytest.raises(ValueError, match=r"holds a Pair, .* give its class in types"):
        decode(code, {}, {})
    code["fields"]["third"] = 3
    with pytest.raises(ValueError, match="does not fit this version of vijax"):
        decode(code, {}, TYPES)
