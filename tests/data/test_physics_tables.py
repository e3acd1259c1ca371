import numpy as np
import pytest

from vijax import data
from vijax.data import physics_tables


def both_parts(dataset):
    return np.concatenate([dataset.train, dataset.test])


@pytest.fixture(scope="module")
def magic(shared):
    return data.load("magic", data_dir=shared / "data")


@pytest.fixture(scope="module")
def zmumu(shared):
    return data.load("zmumu", data_dir=shared / "data")


def test_magic(magic):
    dataset = magic
    assert (dataset.train.shape, dataset.test.shape) == ((15_216, 10), (3_804, 10))
    labels = np.concatenate([dataset.train_labels, dataset.test_labels])
    assert np.bincount(labels).tolist() == [6_688, 12_332]  # as UCI states
    assert dataset.label_names == ("hadron", "gamma")
    assert dataset.num_levels is None
    # Gammas come from the source, which the telescope looks at: small alpha.
    alpha = dataset.train[:, dataset.feature_names.index("alpha [deg]")]
    assert 0 <= alpha.min() <= alpha.max() <= 90
    medians = [np.median(alpha[dataset.train_labels == label]) for label in (0, 1)]
    assert medians[1] < 15 < 40 < medians[0]


@pytest.mark.thorough
def test_magic_without_the_header_line(magic, shared, tmp_path):
    text = (shared / "data/magic/magic04.data").read_text()
    (tmp_path / "magic04.data").write_text(text.split("\n", 1)[1])
    found = data.load("magic", data_dir=tmp_path)
    np.testing.assert_array_equal(found.train, magic.train)
    np.testing.assert_array_equal(found.test_labels, magic.test_labels)


def test_zmumu_has_the_z_boson(zmumu):
    dataset = zmumu
    events = both_parts(dataset)
    assert events.shape == (10_583, 12)
    column = {
        name.split()[0]: events[:, i] for i, name in enumerate(dataset.feature_names)
    }
    pt1, pt2 = column["pt1"], column["pt2"]
    # m² = 2 pt1 pt2 (cosh Δη - cos Δφ)
    delta_eta, delta_phi = (
        column["eta1"] - column["eta2"],
        column["phi1"] - column["phi2"],
    )
    mass = np.sqrt(2 * pt1 * pt2 * (np.cosh(delta_eta) - np.cos(delta_phi)))
    assert 60 < mass.min() < mass.max() < 120  # the selection, in GeV
    counts, edges = np.histogram(mass, bins=np.arange(60, 121))
    assert abs(edges[counts.argmax()] + 0.5 - 91.19) < 1


@pytest.mark.slow
def test_cms_multijet(shared):
    dataset = data.load("cms_multijet", data_dir=shared / "data")
    assert both_parts(dataset).shape == (68_247, 6)
    names = [name.split()[0] for name in dataset.feature_names]
    assert names == ["MR", "Rsq", "HT", "MET", "nJets", "nBJets"]
    columns = dict(zip(names, both_parts(dataset).T, strict=True))
    assert columns["nJets"].min() == 2
    assert (columns["nBJets"] <= columns["nJets"]).all()
    assert ((columns["Rsq"] > 0) & (columns["Rsq"] < 1)).all()


@pytest.mark.thorough
def test_split_is_fixed_and_loses_nothing(zmumu, shared):
    path = shared / "data/cms/Zmumu_Run2011A.csv"
    source = np.loadtxt(path, delimiter=",", skiprows=1)[:, 2:]
    again = data.load("zmumu", data_dir=path.parent)
    np.testing.assert_array_equal(zmumu.test, again.test)
    assert len(again.test) == 2_116
    found = sorted(map(tuple, both_parts(again)))
    assert found == sorted(map(tuple, source))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda lines: lines[:-1], "expected 10583 events, found 10582"),
        (lambda lines: [lines[0].replace("pt1", "p1"), *lines[1:]], "expected the col"),
        (lambda lines: [*lines[:9], "1,2,3", *lines[9:]], "line 10: expected 14 cells"),
        (lambda lines: [*lines[:9], lines[9].replace(",", ",x", 3), *lines[10:]],
         "line 10, column pt1: expected a finite number, found 'x"),
    ],
)  # fmt: skip
def test_wrong_table(shared, tmp_path, change, found):
    lines = (shared / "data/cms/Zmumu_Run2011A.csv").read_text().splitlines()
    (tmp_path / "Zmumu_Run2011A.csv").write_text("\n".join(change(lines)))
    with pytest.raises(ValueError, match=rf"Zmumu_Run2011A\.csv.*{found}"):
        data.load("zmumu", data_dir=tmp_path)


def test_unknown_class_of_shower(tmp_path, monkeypatch):
    source = physics_tables.SOURCES["magic"]._replace(num_events=2)
    monkeypatch.setitem(physics_tables.SOURCES, "magic", source)
    numbers = ",".join(["1.5"] * 10)
    (tmp_path / "magic04.data").write_text(f"{numbers},g\n{numbers},k\n")
    with pytest.raises(ValueError, match=r"expected classes g and h, found \{'k'\}"):
        data.load("magic", data_dir=tmp_path)
