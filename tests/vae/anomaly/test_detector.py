"""The detector: calibrated, the same in any batch, in a file, and why a row is odd."""

import datetime
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import kstest
from sklearn.metrics import roc_auc_score

from tests.cases import slow_except
from vijax import archive
from vijax.vae import anomaly
from vijax.vae.anomaly import (
    DetectorSettings,
    column_reports,
    detector,
    detector_networks,
    neighbours,
    table_columns,
)
from vijax.vae.anomaly.stroke_directions import directions

KINDS = ["of_mixed", "with_networks", "of_images"]

KEY = jax.random.key(0)
SMALL = DetectorSettings(trainings=2, steps=60, hidden=(8,), latent=2)


def mixed(random, rows):
    """A table of all kinds of columns; `kind` says where `mass` is."""
    kind = random.choice(["a", "b"], rows)
    mass = np.where(kind == "a", 0.0, 6.0) + random.normal(size=rows)
    return {
        "mass": np.where(random.random(rows) < 0.1, np.nan, mass),
        "hits": random.poisson(4.0, rows),
        "kind": kind.astype(object),
        "good": random.random(rows) < 0.9,
        "run": np.full(rows, 7),
    }


@pytest.fixture(scope="module")
def of_mixed():
    return anomaly.fit_detector(KEY, mixed(np.random.default_rng(0), 400))


@pytest.fixture(scope="module")
def with_networks():
    train = np.random.default_rng(3).normal(size=(200, 3))
    settings = DetectorSettings(networks=True, trainings=2, steps=60, hidden=(8,))
    return anomaly.fit_detector(KEY, train, settings=settings), train


@pytest.fixture(scope="module")
def of_images(digits_and_labels):
    images, labels = digits_and_labels
    return anomaly.fit_detector(KEY, images[labels == 1], settings=SMALL)


@pytest.fixture(scope="module")
def digits_and_labels():
    from sklearn.datasets import load_digits

    digits = load_digits()
    return digits.images.astype(np.float32), digits.target


def test_what_is_masked_is_missing(of_mixed):
    rows = mixed(np.random.default_rng(2), 30)
    missing, masked = np.arange(30) % 7 == 0, dict(rows)
    rows |= {name: rows[name].astype(object) for name in ("hits", "kind")}
    for name in ("mass", "hits", "kind"):
        masked[name] = np.ma.array(rows[name], mask=missing)
        rows[name] = np.where(missing, None, rows[name])
    np.testing.assert_array_equal(
        anomaly.score(of_mixed, masked), anomaly.score(of_mixed, rows)
    )
    table = np.random.default_rng(3).normal(size=(60, 2))
    holes = table > 1.5
    found, expected = (
        anomaly.score(anomaly.fit_detector(KEY, x), table)
        for x in (np.ma.array(table, mask=holes), np.where(holes, np.nan, table))
    )
    np.testing.assert_array_equal(found, expected)


def test_p_values_are_uniform_on_background():
    # Twenty training tables: each calibration has an error of its own.
    random = np.random.default_rng(1)
    p = []
    for _ in range(20):
        scale = random.normal(size=(4, 4))
        detector = anomaly.fit_detector(KEY, random.normal(size=(99, 4)) @ scale)
        p.append(anomaly.p_value(detector, random.normal(size=(50, 4)) @ scale))
    p = np.concatenate(p)
    assert kstest(p, "uniform").pvalue > 0.01
    # 1,000 rows, and 20 calibrations of 99: standard errors 0.01 and 0.007.
    assert abs(np.mean(p <= 0.1) - 0.1) < 3 * np.hypot(0.0095, 0.0067)


@pytest.mark.slow
def test_p_values_with_networks_are_uniform_on_background(with_networks):
    detector, _ = with_networks
    p = anomaly.p_value(detector, np.random.default_rng(4).normal(size=(1000, 3)))
    # The calibration's own error: a beta distribution of 200 rows, 0.035 at the middle.
    for rate in (0.05, 0.5):
        error = np.sqrt(rate * (1 - rate) * (1 / 1000 + 1 / 201))
        assert abs(np.mean(p <= rate) - rate) < 3 * error


def test_thresholds_are_the_p_values_seen_the_other_way(of_mixed):
    x = mixed(np.random.default_rng(5), 300)
    scores, p = anomaly.score(of_mixed, x), anomaly.p_value(of_mixed, x)
    for rate in (1 / 401, 0.01, 0.05, 0.37, 1.0):
        cut = anomaly.threshold(of_mixed, rate)
        np.testing.assert_array_equal(scores >= cut, p <= rate * (1 + 1e-9))


def test_every_kind_of_column_can_be_odd(of_mixed):
    row = {"mass": [0.0], "hits": [4], "kind": ["a"], "good": [True], "run": [7]}
    assert anomaly.p_value(of_mixed, row).item() > 0.1
    changes = {
        "mass": [20.0],
        "hits": [40],
        "kind": ["c"],  # a level that was never seen
        "good": [None],  # was never missing
        "run": [8],  # was constant
    }
    for name, value in changes.items():
        odd = row | {name: value}
        assert anomaly.p_value(of_mixed, odd).item() == 1 / 401, name
        why = anomaly.score_by_column(of_mixed, odd)[0]
        assert of_mixed.columns.names[why.argmax()] == name


def test_a_combination_can_be_odd_where_no_column_is(of_mixed):
    # Masses near 6 are ordinary, and so is kind a; together they never were. (A row in
    # ten has a false `good`, which is as far off as this.)
    both = {"mass": [6.0, 6.0], "kind": ["b", "a"]}
    rows = {"hits": [4, 4], "good": [True, True], "run": [7, 7]} | both
    ordinary, odd = anomaly.p_value(of_mixed, rows)
    assert ordinary > 0.1
    assert odd < 0.2


def test_a_missing_value_that_was_missing_before_is_ordinary(of_mixed):
    row = {"mass": [np.nan], "hits": [4], "kind": ["a"], "good": [True], "run": [7]}
    assert anomaly.p_value(of_mixed, row).item() > 0.02


@pytest.mark.parametrize("name", slow_except({"of_mixed"}, KINDS))
def test_a_score_does_not_depend_on_the_others(name, request, digits_and_labels):
    detector = request.getfixturevalue(name)
    if name == "of_mixed":
        x = mixed(np.random.default_rng(6), 9)
        part = {column: values[4:6] for column, values in x.items()}
    else:
        detector = detector[0] if name == "with_networks" else detector
        x = request.getfixturevalue("with_networks")[1][:9]
        x = x if name == "with_networks" else digits_and_labels[0][:9]
        part = x[4:6]
    whole = anomaly.score(detector, x)
    np.testing.assert_allclose(anomaly.score(detector, part), whole[4:6], rtol=1e-6)


@pytest.mark.thorough
@pytest.mark.parametrize("name", slow_except({"of_mixed", "of_images"}, KINDS))
def test_a_file_keeps_every_bit(name, request, tmp_path, digits_and_labels):
    detector = request.getfixturevalue(name)
    x = mixed(np.random.default_rng(7), 5)
    if name == "with_networks":
        detector, x = detector[0], detector[1][:5]
    if name == "of_images":
        x = digits_and_labels[0][:5]
    assert jax.tree.map(lambda leaf: leaf, detector).held_out is detector.held_out
    found = anomaly.load(anomaly.save(tmp_path / "detector.npz", detector))
    assert jax.tree.structure(found) == jax.tree.structure(detector)
    np.testing.assert_array_equal(
        anomaly.score(found, x), anomaly.score(detector, x), strict=True
    )
    assert str(found) == str(detector)


def test_files_of_another_kind_are_refused(tmp_path):
    path = archive.write(tmp_path / "notes.npz", {"a": 1}, kind="notes")
    with pytest.raises(ValueError, match=r"not a detector of vijax\.vae\.anomaly"):
        anomaly.load(path)


def test_images_of_another_class_are_odd(of_images, digits_and_labels):
    images, labels = digits_and_labels
    scores = anomaly.score(of_images, images)
    # Fixed by the seed; a detector of ones that knew nothing would have 0.5.
    assert roc_auc_score(labels != 1, scores) > 0.9
    shares = anomaly.score_by_pixel(of_images, images[:3])
    np.testing.assert_allclose(shares.sum(axis=(1, 2)), 1.0, rtol=1e-5)


def test_levels_of_images_are_scaled_inside(of_images, digits_and_labels):
    images, labels = digits_and_labels
    of_bytes = anomaly.fit_detector(
        KEY, (images[labels == 1] / 16).astype(np.float32), settings=SMALL
    )
    np.testing.assert_allclose(of_bytes.held_out, of_images.held_out, rtol=1e-4)


def test_blank_images_have_a_score(of_images):
    assert np.isfinite(anomaly.score(of_images, np.zeros((1, 8, 8)))).all()


@pytest.mark.parametrize("wrong", ["text", "complex"])
def test_levels_that_are_no_numbers_are_named(of_images, wrong):
    levels = np.full((1, 8, 8), "a" if wrong == "text" else 1j)
    with pytest.raises(ValueError, match=r"dtype = .* is not valid: give real"):
        anomaly.score(of_images, levels)


def test_the_angle_to_the_nearest_image(of_images, digits_and_labels):
    """By their edges; brightness does not matter, and none is its own neighbour."""
    images, labels = digits_and_labels
    ones, x = directions(images[labels == 1]), directions(images[:20])
    exact = np.log(np.maximum(cdist(x, ones, "cosine").min(axis=1), 1e-5))
    views = detector_networks.image_views(of_images.networks, images[:20])
    np.testing.assert_allclose(views[:, 2], exact, rtol=1e-4, atol=1e-4)
    units = neighbours.unit_rows(ones)
    darker = neighbours.log_angle(units, 0.25 * ones[:5])
    assert np.all(darker == np.log(1e-5))
    others = np.sort(cdist(ones, ones, "cosine"), axis=1)[:5, 1]
    found = neighbours.log_angle(units, ones[:5], np.arange(5))
    np.testing.assert_allclose(found, np.log(others), rtol=1e-4)
    assert neighbours.log_angle(units, 0 * ones[:1]).item() == 0.0  # a blank one


def test_no_image_of_many_is_its_own_neighbour(of_images):
    """More of them than are looked at at once."""
    images = np.random.default_rng(4).uniform(size=(600, 8, 8)).astype(np.float32)
    features = directions(images)
    gaps = cdist(features, features, "cosine")
    nearest = np.min(gaps + 9 * np.eye(len(gaps)), axis=1)
    of_many = replace(of_images.networks, images=images)
    found = detector_networks.angles(of_many, images, np.arange(len(images)))
    np.testing.assert_allclose(found, np.log(nearest), rtol=1e-4)


def test_files_of_before_are_read_and_compare_pixels(
    of_images, digits_and_labels, tmp_path
):
    """Their centre, spread and thresholds are those of angles between pixels."""
    images, labels = digits_and_labels
    before = replace(of_images.networks, by_edges=False)
    path = anomaly.save(tmp_path / "now.npz", replace(of_images, networks=before))
    header, arrays = archive.read_arrays(path, kind=detector.KIND)
    text = json.dumps(header)
    shorter = text.replace(', "by_edges": false', "")
    assert shorter != text  # what files of before had not
    old = tmp_path / "before.npz"
    archive.write_arrays(old, json.loads(shorter), arrays, kind=detector.KIND)
    ones = images[labels == 1].reshape(-1, 64)
    exact = cdist(images[:9].reshape(9, -1), ones, "cosine").min(axis=1)
    views = detector_networks.image_views(anomaly.load(old).networks, images[:9])
    exact = np.log(np.maximum(exact, 1e-5))
    np.testing.assert_allclose(views[:, 2], exact, rtol=1e-4, atol=1e-4)


def test_a_stream_of_images_asks_for_their_lengths_once(
    of_images, digits_and_labels, monkeypatch
):
    images = digits_and_labels[0]
    expected = anomaly.score(of_images, images[:2])
    of_images = jax.tree.map(lambda leaf: leaf, of_images)  # that has scored nothing
    lengths, once = [], neighbours.unit_rows

    def noted(rows):
        lengths.append(len(rows))
        return once(rows)

    monkeypatch.setattr(neighbours, "unit_rows", noted)
    for i in range(2):
        found = anomaly.score(of_images, images[i : i + 1])
        np.testing.assert_allclose(found, expected[i : i + 1], rtol=1e-6)
    assert lengths == [len(of_images.networks.images), 1, 1]


def test_neighbours_are_those_of_scipy():
    random = np.random.default_rng(8)
    reference, x = random.normal(size=(37, 3)), random.normal(size=(5, 3))
    found = neighbours.neighbourhood(reference, x)
    ordered = np.sort(cdist(x, reference), axis=1)
    logs = np.log(ordered[:, [0, 1, 3, 7, 15]])
    np.testing.assert_allclose(found.near, logs.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found.far, logs[:, 2:].mean(axis=1), rtol=1e-9)
    # A reference row is not its own neighbour.
    own = neighbours.neighbourhood(reference, reference[:4], np.arange(4))
    others = np.sort(cdist(reference[:4], reference), axis=1)[:, 1:]
    logs = np.log(others[:, [0, 1, 3, 7, 15]])
    np.testing.assert_allclose(own.near, logs.mean(axis=1), rtol=1e-9)


def test_anomalies_left_in_training_are_no_neighbours():
    """Eight of 108 rows sit together: without the oddest tenth nobody is near them."""
    random = np.random.default_rng(5)

    def odd(number):
        return 3 + 0.5 * random.normal(size=(number, 5))

    train = np.concatenate([random.normal(size=(100, 5)), odd(8)])
    new = np.concatenate([random.normal(size=(300, 5)), odd(60)])
    areas = []
    for settings in (DetectorSettings(trim=0.0), DetectorSettings()):
        detector = anomaly.fit_detector(KEY, train, settings=settings)
        areas.append(roc_auc_score(np.arange(360) >= 300, anomaly.score(detector, new)))
        assert len(detector.held_out) == 108
    assert areas[0] < 0.97
    assert areas[1] > 0.999
    with pytest.raises(ValueError, match=r"trim = 0\.6 is not valid"):
        DetectorSettings(trim=0.6)


def test_what_it_prints(of_mixed):
    lines = str(of_mixed).splitlines()
    assert lines[0] == "detector of 5 columns"
    at = next(i for i, line in enumerate(lines) if line.startswith("views"))
    assert {line.split()[0] for line in lines[1:at]} == READINGS
    assert "near, far" in lines[at]
    assert "on 400 rows held out, p-values from 0.0025" in lines[at + 2]
    assert lines[at + 3].endswith("at a false-positive rate of 0.01")


READINGS = {"numbers", "categories", "constant", "missing"}


def test_how_columns_were_read_is_counted():
    table = {
        "x": np.where(
            np.arange(40) < 3, np.nan, np.random.default_rng(0).normal(size=40)
        ),
        "kind": np.array(["b", "a", None, "b"] * 10, object),
        "flag": np.array([True, False] * 20),
        "run": np.full(40, 12.5),
    }
    columns = table_columns.fit_columns(table)
    assert column_reports.readings(columns, 40) == [
        "numbers     x",
        "categories  kind (2: a, b), flag (2: False, True)",
        "constant    run (12.5)",
        "missing     x (7.5 %), kind (25.0 %)",
    ]
    rows = {name: [None] for name in ("kind", "flag")} | {"x": [np.nan], "run": [12.0]}
    said = [
        column_reports.reasons(columns, rows, np.eye(4)[[i]])[0][1] for i in range(4)
    ]
    assert said[:2] == ["x is missing", "kind is missing"]
    assert said[3] == "run = 12, always 12.5 in training"
    rows = {"x": [9.0], "kind": ["b"], "flag": [True], "run": [12.5]}
    said = column_reports.reasons(columns, rows, np.eye(4)[[1]])[0][1]
    assert said == "kind = b, 50 % in training"


def test_dates_are_no_categories_unless_it_is_said():
    days = [f"{1 + i % 9}.5.2024" for i in range(40)]
    with pytest.raises(ValueError, match=r"day holds dates, such as '1\.5\.2024'"):
        table_columns.fit_columns({"day": days})
    columns = table_columns.fit_columns({"day": days}, categories=["day"])
    assert len(columns.levels[0]) == 9


def test_a_counter_is_warned_of():
    random = np.random.default_rng(2)
    table = {"event": np.arange(40) + 7, "x": random.normal(size=40)}
    with pytest.warns(RuntimeWarning, match="event rises from row to row"):
        table_columns.fit_columns(table)
    table_columns.fit_columns({"event": random.permutation(40), "x": table["x"]})


@pytest.mark.parametrize(
    "day",
    [
        "2024-05-{}",
        "2024/5/{}",
        "{}.05.24",
        "{}-May-2024",
        "{} Sept 2024",
        "May {}, 2024",
    ],
)
def test_dates_are_known_however_they_are_written(day):
    days = [day.format(10 + i % 9) for i in range(40)]
    with pytest.raises(ValueError, match="day holds dates, such as"):
        table_columns.fit_columns({"day": days})


def test_what_rises_or_falls_is_warned_of_though_rows_share_a_time():
    times = np.arange(60) // 1.5  # of three rows two have the same
    for values, way in ((times, "rises"), (-times, "falls")):
        values[7] = np.nan
        with pytest.warns(RuntimeWarning, match=f"time {way} from row to row"):
            table_columns.fit_columns({"time": values})
    # A sorted column of few levels is none.
    table_columns.fit_columns({"hits": np.sort(np.arange(60) % 25)})


class Missing:
    """As pandas' NA, which is neither equal to anything nor true or false."""

    def __eq__(self, other):
        return self

    def __ne__(self, other):
        return self

    __hash__ = None

    def __bool__(self):
        raise TypeError("boolean value of NA is ambiguous")


@pytest.mark.parametrize(
    "values", [["a", "b"], [True, False], [1, 2], [1.5, 2.5]], ids=str
)
def test_missing_values_of_data_frames_are_missing(values):
    rows = np.array([*(values * 10), None], object)
    of_pandas = rows.copy()
    of_pandas[-1] = Missing()
    expected, found = (
        table_columns.encode(table_columns.fit_columns({"x": x}), {"x": x})
        for x in (rows, of_pandas)
    )
    np.testing.assert_array_equal(found.standard, expected.standard)


def test_several_numbers_per_row_are_columns():
    p = np.random.default_rng(11).normal(size=(40, 2))
    apart = anomaly.fit_detector(KEY, {"p[0]": p[:, 0], "p[1]": p[:, 1]})
    found = anomaly.fit_detector(KEY, {"p": p})
    assert found.columns.names == ("p[0]", "p[1]")
    np.testing.assert_array_equal(
        anomaly.score(found, {"p": p[:5]}), anomaly.score(apart, p_of(p[:5]))
    )


def p_of(p):
    return {"p[0]": p[:, 0], "p[1]": p[:, 1]}


def test_rows_with_nothing_in_a_column_are_scored(of_mixed):
    x = mixed(np.random.default_rng(0), 3)
    none, nan = np.array([None] * 3, object), np.full(3, np.nan)
    for name in ("mass", "kind"):
        np.testing.assert_array_equal(
            anomaly.score(of_mixed, x | {name: none}),
            anomaly.score(of_mixed, x | {name: nan}),
        )


@pytest.mark.parametrize(
    ("train", "new"),
    [
        (["1", "2"], [1, 2]),
        (["01", "1x"], [1, 2]),
        ([True, False], [1, 0]),
        (["True", "False"], [1, 0]),
        (["a", "b"], [True, False]),
    ],
)
def test_a_category_that_is_written_in_another_way_is_refused(train, new):
    """Every row would be the oddest, and nobody would know why."""
    columns = table_columns.fit_columns({"code": np.array(train * 10)})
    table_columns.encode(columns, {"code": np.array(train)})
    with pytest.raises(
        ValueError, match=r"code holds .*: give the values as they were"
    ):
        table_columns.encode(columns, {"code": np.array(new)})
    unseen = [f"{value}z" for value in train]
    if all(isinstance(value, str) for value in train) and "x" in train[-1]:
        table_columns.encode(columns, {"code": np.array(unseen)})


TABLE = np.random.default_rng(9).normal(size=(20, 2))


@pytest.mark.parametrize(
    ("train", "says"),
    [
        (TABLE[:7], "rows = 7 is not valid: give 8 rows or more"),
        (TABLE[:1], "rows = 1 is not valid"),
        (TABLE[:, 0], r"shape \(20,\): give \(rows, columns\)"),
        (TABLE * 1j, "column 0 is of complex128: give real numbers"),
        (np.where(TABLE > 2, np.inf, TABLE) + np.inf, "column 0 = inf"),
        (
            {"t": np.arange(20).astype("datetime64[s]")},
            "t holds times, and new rows have new ones: leave it out",
        ),
        ({"t": np.arange(20).astype("timedelta64[s]")}, "t holds times"),
        ({"t": np.array([datetime.date(2024, 5, 1)] * 20)}, "t holds times"),
        (
            {"pt": [*map(str, TABLE[:19, 0]), "n.a."]},
            r"pt holds numbers, and text such as 'n\.a\.': leave such entries empty",
        ),
        ({"x": list(map(str, TABLE[:, 0]))}, "give them as numbers, or leave"),
        ({"id": 2**53 + 1 + np.arange(20)[::-1]}, "id holds .*which would be rounded"),
        ({"id": np.array([2**53 + 1, 0.5] * 10, object)}, "id holds 9007199254740993"),
        ({"a": np.fromiter([TABLE] * 20, object)}, "a holds ndarray: give numbers"),
        ({"a": np.full(20, np.nan)}, "a's values = 0 is not valid: leave out an empty"),
        (
            {"a": [str(i) for i in range(20)]},
            "20 different values in 20 rows, such as '0': give them as numbers",
        ),
        ({"a": np.array([[]] * 20 + [0], object)[:20]}, "a holds list: give numbers"),
        ({"a": TABLE[:, 0], "b": TABLE[:9, 1]}, "give vectors of one length"),
        (np.zeros((9, 4, 4)), "give images that are not blank"),
        (np.full((9, 4, 4), -1.0), "give finite levels of 0 or more"),
        (np.full((9, 4, 4), 1j), "images' dtype = complex128 is not valid: give real"),
        (np.zeros((9, 0, 4)), "give images with pixels"),
    ],
)
def test_bad_training_data_are_named(train, says):
    with pytest.raises(ValueError, match=says):
        anomaly.fit_detector(KEY, train)


def test_bad_rows_are_named(of_mixed, of_images):
    x = mixed(np.random.default_rng(0), 3)
    with pytest.raises(ValueError, match="give those of the training table, mass"):
        anomaly.score(of_mixed, {"hits": x["hits"]})
    with pytest.raises(ValueError, match="hits holds text, such as 'b': it held num"):
        anomaly.score(of_mixed, x | {"hits": np.array(["1", "b", "c"])})
    with pytest.raises(ValueError, match=r"x has shape \(3, 4\): give \(n, 8, 8\)"):
        anomaly.score(of_images, np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"400 rows were held out: give 0.00249 to 1"):
        anomaly.threshold(of_mixed, 1e-3)
    with pytest.raises(ValueError, match="use score_by_pixel"):
        anomaly.score_by_column(of_images, np.zeros((3, 8, 8)))
    with pytest.raises(ValueError, match="trainings = 1"):
        DetectorSettings(trainings=1)
    with pytest.raises(ValueError, match="categories = "):
        anomaly.fit_detector(KEY, TABLE, categories=["kind"])
    with pytest.raises(ValueError, match=r"categories = .*: images have no columns"):
        anomaly.fit_detector(KEY, np.ones((9, 4, 4)), categories=["kind"])


def test_numbers_can_be_categories():
    random = np.random.default_rng(10)
    table = np.stack([random.choice([1.0, 3.0], 50), random.normal(size=50)], axis=1)
    detector = anomaly.fit_detector(KEY, table, categories=[0])
    between, known = anomaly.p_value(detector, np.array([[2.0, 0.0], [3.0, 0.0]]))
    assert between == 1 / 51
    assert known > 0.1
