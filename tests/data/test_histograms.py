"""Histograms: the same sums and variances from ROOT's files and hist, and back."""

import numpy as np
import pytest

from vijax import data

hist = pytest.importorskip("hist")
uproot = pytest.importorskip("uproot")


def weighted(*axes, seed=0):
    """Return a hist of weighted entries, some outside of its axes, and the entries."""
    random = np.random.default_rng(seed)
    points = random.normal(size=(len(axes), 500))
    weights = random.normal(1.0, 0.5, 500)
    h = hist.Hist(*axes, storage=hist.storage.Weight())
    return h.fill(*points, weight=weights), points, weights


AXES = (
    hist.axis.Regular(4, -1, 1),
    hist.axis.Variable([-2.0, 0.0, 0.5, 3.0]),
    hist.axis.Regular(2, -1, 1),
)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_weighted_sums_are_numpys(dimensions):
    h, points, weights = weighted(*AXES[:dimensions])
    found = data.from_hist(h)
    edges = [np.asarray(axis.edges) for axis in AXES[:dimensions]]
    for name, expected in (("values", weights), ("variances", weights**2)):
        sums, _ = np.histogramdd(points.T, edges, weights=expected)
        np.testing.assert_allclose(getattr(found, name), sums, rtol=1e-12)
    assert found.values.dtype == found.variances.dtype == np.float64
    with_flow = data.from_hist(h, flow=True)
    np.testing.assert_allclose(with_flow.values.sum(), weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(with_flow.variances.sum(), (weights**2).sum())
    assert [e[0] for e in with_flow.edges] == [-np.inf] * dimensions


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize("flow", [False, True])
def test_there_and_back(dimensions, flow, tmp_path):
    h, _, _ = weighted(*AXES[:dimensions], seed=1)
    histogram = data.from_hist(h, flow=flow)
    again = data.from_hist(data.to_hist(histogram), flow=flow)
    path = data.write_histograms(tmp_path / "h.root", {"channel/mass": histogram})
    assert data.histogram_names(path) == ("channel/mass",)
    read = data.read_histogram(path, "channel/mass", flow=flow)
    for found in (again, read):
        np.testing.assert_array_equal(found.values, histogram.values)
        np.testing.assert_array_equal(found.variances, histogram.variances)
        for a, b in zip(found.edges, histogram.edges, strict=True):
            np.testing.assert_array_equal(a, b)
    if flow:  # nothing is lost on the way to hist
        back = data.to_hist(histogram)
        np.testing.assert_array_equal(back.view(flow=True), h.view(flow=True))
    # uproot itself reads the same, in hist's order of axes.
    with uproot.open(path) as file:
        theirs = file["channel/mass"].to_hist()
    np.testing.assert_array_equal(theirs.values(), data.from_hist(h).values)
    np.testing.assert_array_equal(theirs.variances(), data.from_hist(h).variances)


def test_moments_are_of_the_bins_centres(tmp_path):
    h, _, _ = weighted(*AXES[:2])
    path = data.write_histograms(tmp_path / "h.root", {"m": data.from_hist(h)})
    x, y = (axis.centers for axis in AXES[:2])
    with uproot.open(path) as file:
        m = file["m"]
        found = [m.member(f"fTsumw{name}") for name in ("", "2", "x", "y2", "xy")]
    w, v = h.values(), h.variances()
    expected = [w.sum(), v.sum(), x @ w.sum(1), y**2 @ w.sum(0), x @ w @ y]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_counts_have_themselves_as_variances(tmp_path):
    counts = hist.Hist(hist.axis.Integer(0, 4)).fill([0, 1, 1, 3, 3, 3, 9])
    found = data.from_hist(counts)
    assert found.edges[0].tolist() == [0, 1, 2, 3, 4]
    assert found.values.tolist() == found.variances.tolist() == [1, 2, 0, 3]
    with uproot.recreate(tmp_path / "h.root") as file:
        file["counts"] = np.histogram([1.0, 1.0, 2.0], bins=2)
    found = data.read_histogram(tmp_path / "h.root")
    assert found.values.tolist() == found.variances.tolist() == [2, 1]
    assert str(found) == "histogram of 2 bins from 1 to 2: 3 ± 1.73205"


def test_axes_without_flow_have_empty_flow():
    h = hist.Hist(hist.axis.Regular(2, 0, 2, underflow=False)).fill([0.5, 1.5, 7.0])
    found = data.from_hist(h, flow=True)
    assert found.values.tolist() == [0, 1, 1, 1]
    assert found.edges[0].tolist() == [-np.inf, 0, 1, 2, np.inf]


def test_what_has_no_sums_of_weights_is_refused(tmp_path):
    with pytest.raises(ValueError, match="histogram = list is not valid: give an obj"):
        data.from_hist([1.0])
    h = hist.Hist(hist.axis.Regular(2, 0, 2)).fill([0.5], weight=[2.0])
    with pytest.raises(ValueError, match="weights, but not the sums of their squares"):
        data.from_hist(h)
    profile = hist.Hist(hist.axis.Regular(2, 0, 2), storage=hist.storage.Mean())
    with pytest.raises(ValueError, match="histogram holds means"):
        data.from_hist(profile)
    kinds = hist.Hist(hist.axis.StrCategory(["a", "b"]))
    with pytest.raises(ValueError, match="has categories: give axes of numbers"):
        data.from_hist(kinds)
    with uproot.recreate(tmp_path / "h.root") as file:
        file["weighted"] = uproot.writing.identify.to_TH1x(
            "h", "h", np.ones(4), 2.0, 2.0, 9.0, 0.0, 0.0, np.zeros(0),
            uproot.writing.identify.to_TAxis("x", "x", 2, 0.0, 1.0),
        )  # fmt: skip
    with pytest.raises(ValueError, match=r"call ROOT's Sumw2\(\) before"):
        data.read_histogram(tmp_path / "h.root")


def test_another_object_and_infinite_edges_are_named(tmp_path, as_users_do):
    h = hist.Hist(hist.axis.Variable([-np.inf, 0.0, np.inf]), storage="weight")
    with pytest.raises(ValueError, match="give numbers that rise"):
        data.from_hist(h, flow=True)
    for function in (data.to_hist, lambda x: data.write_histograms(tmp_path, {"h": x})):
        with pytest.raises(
            ValueError, match=r"histogram = Hist is not valid: give a v"
        ):
            function(h)


def test_names_and_shapes_are_checked(tmp_path):
    path = tmp_path / "h.root"
    one = data.Histogram((np.array([0.0, 1.0, 2.0]),), np.ones(2), np.ones(2))
    data.write_histograms(path, {"a": one, "b": one})
    with pytest.raises(ValueError, match=r"expected one histogram, found a, b: name"):
        data.read_histogram(path)
    with pytest.raises(ValueError, match=r"no histogram 'c': give one of a, b"):
        data.read_histogram(path, "c")
    with pytest.raises(FileNotFoundError, match="expected a file, found none"):
        data.read_histogram(tmp_path / "none.root", "a")
    before = path.read_bytes()
    for bad, words in (
        (one._replace(values=np.ones(3)), r"values has shape \(3,\): give \(2,\)"),
        (one._replace(variances=-np.ones(2)), "variances: give numbers of 0 or more"),
        (one._replace(edges=(np.array([0.0, 2.0, 1.0]),)), "give numbers that rise"),
        (data.Histogram((np.array([-np.inf, 0.0]),), np.ones(1), np.ones(1)), "one fi"),
        (data.Histogram((one.edges[0],) * 4, np.ones((2,) * 4), np.ones((2,) * 4)),
         "has 4 axes: ROOT has up to 3"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            data.write_histograms(path, {"a": bad})
    with pytest.raises(ValueError, match=r"histograms = \{\} is not valid"):
        data.write_histograms(path, {})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["h.root"]


def test_published_histograms(shared):
    path = shared / "data" / "root" / "uproot-histograms.root"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    assert data.histogram_names(path) == ("one", "two", "three")
    found = data.read_histogram(path, "one")
    # Printed in the documentation of uproot.
    assert found.values.tolist() == [68, 285, 755, 1580, 2296, 2286, 1570, 795, 289, 76]
    np.testing.assert_allclose(found.edges[0], np.linspace(-3, 3, 11))
    np.testing.assert_array_equal(found.variances, found.values)
    assert data.read_histogram(path, "one", flow=True).values.sum() == 10_000
    with pytest.raises(ValueError, match=r"expected one tree, found none"):
        data.load(path)


def test_published_templates(shared):
    path = shared / "data" / "root" / "pyhf_binderexample.root"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    names = data.histogram_names(path)
    assert len(names) == 13
    found = data.read_histogram(path, "channel1_hists/signal/signal_nominal")
    with uproot.open(path) as file:
        theirs = file["channel1_hists/signal/signal_nominal"]
        np.testing.assert_array_equal(found.values, theirs.values())
        np.testing.assert_allclose(found.variances, theirs.errors() ** 2, rtol=1e-14)
