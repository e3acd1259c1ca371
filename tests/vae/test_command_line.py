"""The command line on files: what is compressed comes back in another process."""

import csv
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from vijax import data, metrics
from vijax.vae import anomaly, models, store
from vijax.vae.anomaly import table_columns
from vijax.vae.command_line import commands, files
from vijax.vae.command_line.files import Choice
from vijax.vae.compression import file_format

KINDS = (".csv", ".root", ".h5", ".parquet", ".feather")


def library(suffix):
    names = {".root": "uproot", ".h5": "h5py", ".parquet": "pyarrow"}
    names[".feather"] = "pyarrow"
    if suffix in names:
        pytest.importorskip(names[suffix])


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Bytes of 4 × 4, and a model of them."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (40, 4, 4)).astype(np.uint8)
    np.save(folder / "images.npy", images)
    np.savez(folder / "labelled.npz", x=images, labels=np.arange(40) % 3)
    says = commands.train(
        folder / "images.npy", folder / "model.npz", epochs=2, latent=2, hidden=(8,)
    )
    assert "verdict" in says
    return folder, images


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Sixty rows of three columns and a label in every kind of file, and a model."""
    folder = tmp_path_factory.mktemp("table")
    random = np.random.default_rng(1)
    numbers = np.round(random.normal(size=(60, 2)), 3)
    columns = {
        "mass": numbers[:, 0],
        "charge": numbers[:, 1],
        "label": np.arange(60) % 2,
        "run": np.arange(60),
    }
    files.write_table(folder / "table.csv", columns)
    commands.train(
        folder / "table.csv",
        folder / "model.npz",
        choice=Choice(columns=("mass", "charge")),
        epochs=1,
        latent=1,
        hidden=(4,),
    )
    return folder, columns


def test_images_come_back_by_another_process(images):
    folder, array = images
    model, packed = folder / "model.npz", folder / "images.vx"
    commands.compress(model, folder / "images.npy", packed)
    arguments = ["decompress", model, packed, folder / "back.npy"]
    subprocess.run(
        [sys.executable, "-m", "vijax.vae", *map(str, arguments)], check=True
    )
    found = np.load(folder / "back.npy")
    np.testing.assert_array_equal(found, array, strict=True)


@pytest.mark.thorough
def test_images_go_into_a_folder_and_come_back(images, tmp_path):
    pytest.importorskip("PIL")
    folder, array = images
    model, packed = folder / "model.npz", tmp_path / "images.vx"
    commands.compress(model, folder / "images.npy", packed)
    commands.decompress(model, packed, tmp_path / "pictures")
    assert sorted(p.name for p in (tmp_path / "pictures").iterdir())[0] == "01.png"
    np.testing.assert_array_equal(
        files.read_examples(tmp_path / "pictures", Choice()).x, array, strict=True
    )
    commands.compress(model, tmp_path / "pictures", tmp_path / "again.vx")
    assert (tmp_path / "again.vx").read_bytes() == packed.read_bytes()
    with pytest.raises(ValueError, match="pictures is not empty: give a new folder"):
        commands.sample(model, tmp_path / "pictures")


def test_samples_are_of_the_same_kind(images, tmp_path):
    folder, array = images
    commands.sample(folder / "model.npz", tmp_path / "new.npy", number=3)
    new = np.load(tmp_path / "new.npy")
    assert (new.shape, new.dtype) == ((3, 4, 4), array.dtype)
    commands.sample(folder / "model.npz", tmp_path / "new.npz", number=3)
    np.testing.assert_array_equal(np.load(tmp_path / "new.npz")["x"], new)
    with pytest.raises(ValueError, match=r"new\.csv: images are written as \.npy"):
        commands.sample(folder / "model.npz", tmp_path / "new.csv")


@pytest.mark.thorough
def test_samples_come_from_a_learned_prior(tmp_path):
    prior = models.priors.mixture(1)
    vae = models.vae((2,), latent=1, hidden=(), prior=prior)
    params = models.init(vae, jax.random.key(0))
    # z = 40 ± ½, and pixels that are 1 where z is above 30.
    decoder = {"kernel": jnp.ones((1, 2)), "bias": jnp.full(2, -30.0)}
    far = params.prior | {"loc": jnp.full((1, 1), 40.0)}
    params = params._replace(decoder={"output": decoder}, prior=far)
    extra = {"scale": None, "num_levels": 2}
    store.save(tmp_path / "model.npz", vae, params, extra=extra)
    commands.sample(tmp_path / "model.npz", tmp_path / "new.npy", number=5)
    np.testing.assert_array_equal(np.load(tmp_path / "new.npy"), np.ones((5, 2)))
    with pytest.raises(ValueError, match="num_samples = 0 is not valid"):
        commands.sample(tmp_path / "model.npz", tmp_path / "new.npy", number=0)


@pytest.mark.parametrize(
    ("likelihood", "images"),
    [
        (models.likelihoods.bernoulli(), np.eye(4, dtype=np.float32)[None]),
        (models.likelihoods.beta_binomial(), np.arange(16, dtype=np.uint8)),
    ],
)
def test_a_model_of_images_needs_no_more_than_its_file(likelihood, images, tmp_path):
    images = images.reshape(1, 4, 4)
    vae = models.vae((4, 4), latent=1, hidden=(), likelihood=likelihood)
    path, back = tmp_path / "model.npz", tmp_path / "back.npy"
    store.save(path, vae, models.init(vae, jax.random.key(0)))
    np.save(tmp_path / "x.npy", images)
    commands.compress(path, tmp_path / "x.npy", tmp_path / "x.vx")
    commands.decompress(path, tmp_path / "x.vx", back)
    np.testing.assert_array_equal(np.load(back), images)
    assert np.load(back).dtype == images.dtype


def test_a_model_of_rows_needs_its_scales(tmp_path):
    vae = models.vae((3,), latent=1, hidden=())
    store.save(tmp_path / "model.npz", vae, models.init(vae, jax.random.key(0)))
    with pytest.raises(ValueError, match="was not written by `train`: give a model"):
        commands.sample(tmp_path / "model.npz", tmp_path / "new.npy")


@pytest.mark.slow
def test_binary_images_keep_their_type(tmp_path):
    bits = np.random.default_rng(2).random((30, 3, 3)) < 0.5
    np.save(tmp_path / "bits.npy", bits)
    model = tmp_path / "model.npz"
    commands.train(tmp_path / "bits.npy", model, epochs=1, latent=1, hidden=(4,))
    commands.compress(model, tmp_path / "bits.npy", tmp_path / "bits.vx")
    commands.decompress(model, tmp_path / "bits.vx", tmp_path / "back.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "back.npy"), bits, strict=True)


@pytest.mark.parametrize("suffix", KINDS)
def test_a_table_is_compressed_from_and_into_every_file(suffix, table, tmp_path):
    library(suffix)
    folder, columns = table
    source, back = tmp_path / f"table{suffix}", tmp_path / f"back{suffix}"
    files.write_table(source, columns)
    commands.compress(
        folder / "model.npz",
        source,
        tmp_path / "t.vx",
        bound=0.01,
        num_samples=4,
        latent_step=0.06,
    )
    commands.decompress(folder / "model.npz", tmp_path / "t.vx", back)
    found = files.read_examples(back, Choice())
    assert found.names == ("mass", "charge")
    expected = np.stack([columns["mass"], columns["charge"]], axis=1)
    assert np.abs(found.x - expected).max() <= 0.01
    assert len({p.name for p in tmp_path.iterdir()}) == 3  # nothing unfinished
    start = len(file_format.TABLE) + 4  # behind the kind and the checksum
    content = (tmp_path / "t.vx").read_bytes()
    assert file_format._HEADER.unpack_from(content, start)[5:] == (0.06, 4)
    text = Choice(select="run >= 50")
    commands.compress(folder / "model.npz", source, tmp_path / "t.vx", choice=text)
    commands.decompress(folder / "model.npz", tmp_path / "t.vx", tmp_path / "t.npy")
    assert np.abs(np.load(tmp_path / "t.npy") - expected[50:]).max() <= 0.01


@pytest.mark.parametrize("suffix", KINDS)
def test_a_table_is_scored_from_every_file(suffix, table, tmp_path):
    library(suffix)
    _, columns = table
    source = tmp_path / f"table{suffix}"
    files.write_table(source, columns)
    detector, scores = tmp_path / "detector.npz", tmp_path / f"scores{suffix}"
    choice = Choice(columns=("mass", "charge"), select="label == 0")
    assert "30 rows held out" in commands.detect(source, detector, choice=choice)
    says = commands.score(detector, source, scores, explain=0.1)
    found = files.read_examples(scores, Choice(columns=("score", "p_value")))
    assert found.x.shape == (60, 2)
    rows = {name: columns[name] for name in ("mass", "charge")}
    fitted = anomaly.load(detector)
    np.testing.assert_allclose(found.x[:, 0], anomaly.score(fitted, rows), rtol=1e-6)
    np.testing.assert_allclose(found.x[:, 1], anomaly.p_value(fitted, rows))
    is_odd = found.x[:, 1] <= 0.1
    shares = anomaly.score_by_column(fitted, rows)
    oddest = np.array(["mass", "charge"])[shares.argmax(axis=1)]
    assert 1 < is_odd.sum() < 20
    if suffix == ".root":
        wide = files.read_raw(scores, Choice())
        assert np.isnan(wide["share_of_mass"][~is_odd]).all()
        np.testing.assert_allclose(
            wide["share_of_charge"][is_odd], shares[is_odd, 1], rtol=1e-6
        )
    else:
        named = files.read_raw(scores, Choice(columns=("odd_column",)))["odd_column"]
        named = [name or "" for name in named]
        assert named == np.where(is_odd, oddest, "").tolist()
    first = np.argmax(found.x[:, 0])
    line = says.splitlines()[2].split()
    assert int(line[0]) == first + 1
    assert line[4] == oddest[first]


def test_a_detector_takes_text_and_missing_values(tmp_path):
    random = np.random.default_rng(3)
    rows = [["pt", "kind"]]
    rows += [[f"{x:.3f}", "ab"[i % 2]] for i, x in enumerate(random.normal(size=50))]
    rows[7][0] = ""
    for name, odd in (("train", []), ("new", [["0.1", "c"], ["", "a"]])):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows + odd)
    detector = tmp_path / "detector.npz"
    says = commands.detect(tmp_path / "train.csv", detector)
    assert says.splitlines()[:4] == [
        "detector of 2 columns",
        "numbers     pt",
        "categories  kind (2: a, b)",
        "missing     pt (2.0 %)",
    ]
    new = tmp_path / "new.csv"
    says = commands.score(detector, new, tmp_path / "scores.csv", explain=0.02)
    with (tmp_path / "scores.csv").open(newline="") as file:
        scores = list(csv.DictReader(file))
    values = [float(row["score"]) for row in scores]
    assert values[50] > max(values[:50])  # a kind that was never seen
    assert scores[50]["odd_column"] == "kind"
    assert scores[50]["why"] == "kind = c, never in training"
    assert "    51  p = 0.02  kind = c, never in training" in says


def test_columns_that_say_nothing_of_new_rows(tmp_path):
    """Names, dates and counters: what a table of one's own has beside numbers."""
    random = np.random.default_rng(6)
    rows = [
        [f"ev{i}", f"2024-05-{1 + i // 5:02}", x]
        for i, x in enumerate(random.normal(size=60))
    ]
    with (tmp_path / "t.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "day", "pt"], *rows])
    given = tmp_path / "t.csv", tmp_path / "detector.npz"
    with pytest.raises(ValueError, match="id holds text with 60 different values"):
        commands.detect(*given)
    with pytest.raises(ValueError, match="day holds dates, such as '2024-05-01'"):
        commands.detect(*given, choice=Choice(leave_out=("id",)))
    says = commands.detect(*given, choice=Choice(leave_out=("id", "day")))
    assert says.splitlines()[:2] == ["detector of 1 columns", "numbers     pt"]
    with pytest.raises(
        ValueError, match="there is no column 'no' to leave out: it has id, day"
    ):
        commands.detect(*given, choice=Choice(leave_out=("no",)))


def test_a_detector_takes_text_of_parquet(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    values = np.random.default_rng(4).normal(size=20).tolist()
    columns = {"kind": ["a", None] * 10, "n": [None, *range(19)], "x": values}
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    found = files.read_raw(tmp_path / "t.parquet", Choice())
    assert found["kind"].tolist() == columns["kind"]
    assert np.isnan(found["n"][0])
    says = commands.detect(tmp_path / "t.parquet", tmp_path / "detector.npz")
    assert "3 columns" in says


def write_rows(path, columns):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def test_codes_are_read_as_they_were_in_training(tmp_path):
    """Text with digits alone in the new file, or numbers that are codes."""
    x = np.random.default_rng(7).normal(size=60)
    text, codes = ["01", "1", "1x", "b"] * 15, [11, -11, 13, 22] * 15
    rows = {"x": x, "text": text, "pdg": codes}
    given = write_rows(tmp_path / "train.csv", rows), tmp_path / "detector.npz"
    says = commands.detect(*given, categories=("pdg",))
    assert "text (4: 01, 1, 1x, b), pdg (4: -11.0, 11.0, 13.0, 22.0)" in says
    rows = {"x": x[:4], "text": ["01", "1", "01", "1"], "pdg": codes[:4]}
    new = write_rows(tmp_path / "new.csv", rows)
    commands.score(tmp_path / "detector.npz", new, tmp_path / "scores.csv", explain=1.0)
    expected = anomaly.score(
        anomaly.load(tmp_path / "detector.npz"),
        {name: np.array(values) for name, values in rows.items()},
    )
    found = files.read_examples(tmp_path / "scores.csv", Choice(columns=("score",)))
    np.testing.assert_allclose(found.x[:, 0], expected)
    assert "never in training" not in (tmp_path / "scores.csv").read_text()


def test_words_for_what_is_missing_are_missing(tmp_path):
    x = np.random.default_rng(8).normal(size=40).tolist()
    rows = {"x": ["NA", "?", *x], "null": ["a", "null", *["a", "b"] * 20]}
    says = commands.detect(
        write_rows(tmp_path / "train.csv", rows), tmp_path / "detector.npz"
    )
    assert says.splitlines()[1:4] == [
        "numbers     x",
        "categories  null (3: a, b, null)",
        "missing     x (4.8 %)",
    ]
    new = write_rows(tmp_path / "new.csv", {"x": ["NA"], "null": ["null"]})
    assert commands.score(
        tmp_path / "detector.npz", new, tmp_path / "scores.csv"
    ).startswith("1 scores")


def test_arrays_of_a_detector_have_missing_values(tmp_path):
    x = np.random.default_rng(11).normal(size=(40, 2))
    x[3, 1] = np.nan
    np.save(tmp_path / "t.npy", x)
    says = commands.detect(tmp_path / "t.npy", tmp_path / "detector.npz")
    assert "missing     column 1 (2.5 %)" in says
    with pytest.raises(ValueError, match="expected finite numbers, found nan at index"):
        commands.train(tmp_path / "t.npy", tmp_path / "model.npz")
    np.save(tmp_path / "t.npy", np.where(np.isnan(x), np.inf, x))
    with pytest.raises(ValueError, match="expected finite numbers, found inf at index"):
        commands.detect(tmp_path / "t.npy", tmp_path / "detector.npz")
    images = np.full((9, 3, 3), np.nan)
    np.save(tmp_path / "t.npy", images)
    with pytest.raises(ValueError, match="expected finite numbers, found nan at index"):
        commands.detect(tmp_path / "t.npy", tmp_path / "detector.npz")


@pytest.mark.slow
def test_classes_of_a_report_may_be_a_column_of_the_detector(table, tmp_path):
    folder, columns = table
    rows = {"kind": ["a", "b"] * 30} | {n: columns[n] for n in ("mass", "charge")}
    source = write_rows(tmp_path / "t.csv", rows)
    detector, output = tmp_path / "detector.npz", tmp_path / "report.html"
    commands.detect(source, detector)
    commands.report(
        folder / "model.npz",
        source,
        output,
        choice=Choice(label="kind"),
        detector=detector,
    )
    assert "b, by detector" in output.read_text()


@pytest.mark.thorough
def test_a_warning_is_one_line(tmp_path):
    rows = {"": range(40), "x": np.random.default_rng(9).normal(size=40)}
    command = [sys.executable, "-m", "vijax.vae", "detect"]
    command += [write_rows(tmp_path / "t.csv", rows), tmp_path / "detector.npz"]
    found = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert found.stderr.startswith("warning: 1 rises from row to row")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.thorough
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_drawn_rows_are_as_the_data_are(suffix, tmp_path):
    """Counts are whole, a constant is what it was; real numbers are neither."""
    library(suffix)
    random = np.random.default_rng(10)
    columns = {
        "hits": random.poisson(4.0, 60),
        "pt": random.normal(size=60),
        "run": np.full(60, 0.1),
    }
    files.write_table(tmp_path / f"t{suffix}", columns)
    model, new = tmp_path / "model.npz", tmp_path / f"new{suffix}"
    commands.train(tmp_path / f"t{suffix}", model, epochs=1, latent=1, hidden=(4,))
    commands.sample(model, new, number=20)
    found = files.read_raw(new, Choice())
    assert (found["hits"] % 1 == 0).all()
    assert len(set(found["hits"])) > 1
    assert (found["pt"] % 1 != 0).all()
    assert set(found["run"]) == {0.1}
    if suffix == ".csv":
        assert re.fullmatch(r"-?\d+,-?\d+\.\d+,0\.1", new.read_text().splitlines()[1])
    commands.compress(model, tmp_path / f"t{suffix}", tmp_path / "t.vx")
    commands.decompress(model, tmp_path / "t.vx", new)
    kinds = [array.dtype.kind for array in files.read_raw(new, Choice()).values()]
    assert kinds == ["i" if suffix == ".parquet" else "f", "f", "f"]
    np.testing.assert_array_equal(
        files.read_raw(new, Choice())["hits"], columns["hits"]
    )


@pytest.mark.slow
def test_several_numbers_per_row_are_found_again(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["p"] = np.random.default_rng(5).normal(size=(20, 2))
        file["t/p"], file["t/other"], file["t/n"] = file["p"][()], range(20), range(20)
    choice, model = Choice(columns=("p", "n"), table="t"), tmp_path / "model.npz"
    settings = {"epochs": 1, "latent": 1, "hidden": (4,)}
    commands.train(tmp_path / "t.h5", model, choice=choice, **settings)
    text = commands.report(
        model, tmp_path / "t.h5", tmp_path / "t.html", choice=Choice(table="t")
    )
    assert text.startswith("report of 20 examples")
    choice = Choice(columns=("p",), table="t")
    says = commands.detect(tmp_path / "t.h5", tmp_path / "d.npz", choice=choice)
    assert "numbers     p[0], p[1]" in says
    commands.score(
        tmp_path / "d.npz",
        tmp_path / "t.h5",
        tmp_path / "s.csv",
        choice=Choice(table="t"),
    )
    page = (tmp_path / "t.html").read_text()
    assert "The model has one latent, so there is no map." in page
    assert "ROC" not in page


def pictures(page):
    return re.findall(r'src="data:image/png;base64,[A-Za-z0-9+/=]+"', page)


@pytest.mark.thorough
def test_the_report_of_images_is_one_file(images, tmp_path):
    folder, _ = images
    output = tmp_path / "report.html"
    commands.report(folder / "model.npz", folder / "labelled.npz", output)
    page = output.read_text()
    assert len(pictures(page)) == 4
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)  # nothing from elsewhere
    for text in ("model.npz on labelled.npz", "40 examples of shape (4, 4)", "ELBO -"):
        assert text in page
    # An area for each of three classes and three scores.
    areas = re.findall(r"<td>(\d), by ([^<]*)</td><td[^>]*>(\d\.\d{3})</td>", page)
    assert len(areas) == 9
    commands.report(
        folder / "model.npz", folder / "labelled.npz", output, anomalous="2"
    )
    assert len(re.findall(r"<td>2, by", output.read_text())) == 3


@pytest.mark.slow
def test_the_areas_are_those_of_the_scores(table, tmp_path):
    folder, columns = table
    detector, output = tmp_path / "detector.npz", tmp_path / "report.html"
    choice = Choice(columns=("mass", "charge"))
    commands.detect(folder / "table.csv", detector, choice=choice)
    commands.report(
        folder / "model.npz", folder / "table.csv", output, detector=detector
    )
    page = output.read_text()
    assert len(pictures(page)) == 3  # one latent: no map
    commands.score(detector, folder / "table.csv", tmp_path / "scores.csv")
    scores = np.loadtxt(tmp_path / "scores.csv", delimiter=",", skiprows=1, usecols=0)
    area = metrics.auc_with_error(scores, columns["label"] == 1)
    row = (
        '<td>1, by detector</td><td class="number">'
        f'{area.value:.3f}</td><td class="number">{area.standard_error:.3f}</td>'
    )
    assert row in page


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"anomalous": "5"}, "anomalous = '5' is no class: give one of 0, 1"),
        ({"choice": Choice(select="label == 1")}, "found 1 alone: choose another"),
        ({"choice": Choice(label="spin")}, "no column 'spin' for the labels"),
        ({"choice": Choice(columns=("mass", "run"))}, "columns mass, charge as in tr"),
    ],
)
def test_a_report_that_cannot_be_is_named(options, words, table, tmp_path):
    folder, _ = table
    given = folder / "model.npz", folder / "table.csv", tmp_path / "report.html"
    with pytest.raises(ValueError, match=words):
        commands.report(*given, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_parts_of_a_file_are_chosen(images, tmp_path):
    folder, array = images
    np.savez(tmp_path / "parts.npz", train=array[:30], test=array[30:])
    model, output = folder / "model.npz", tmp_path / "report.html"
    says = commands.report(model, tmp_path / "parts.npz", output)
    assert says.startswith("report of 10 examples")
    with pytest.raises(ValueError, match="has the parts train, test: choose one by"):
        commands.compress(model, tmp_path / "parts.npz", tmp_path / "a.vx")
    says = commands.compress(
        model, tmp_path / "parts.npz", tmp_path / "a.vx", choice=Choice(part="train")
    )
    assert says.startswith("480 bytes in")


def test_other_files_are_named(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(
        ValueError, match=r"a\.txt: give a folder of images or idx files, or a file"
    ):
        commands.detect(tmp_path / "a.txt", tmp_path / "detector.npz")
    with pytest.raises(FileNotFoundError, match="expected a file, found none"):
        commands.detect(tmp_path / "b.csv", tmp_path / "detector.npz")
    np.save(tmp_path / "a.npy", np.zeros((9, 2)))
    with pytest.raises(ValueError, match=r"select = 'x > 0' is not valid for .*a\.npy"):
        commands.detect(
            tmp_path / "a.npy", tmp_path / "d.npz", choice=Choice(select="x > 0")
        )


def test_bad_input_ends_with_one_line(table, tmp_path):
    """The options stand beside each other, whatever they belong to."""
    folder, _ = table
    command = [sys.executable, "-m", "vijax.vae", "train", folder / "table.csv"]
    command += [tmp_path / "model.npz", "--columns", "mass", "spin", "--epochs", "1"]
    found = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert found.returncode == 1
    expected = f"error: {folder / 'table.csv'}: expected one column 'spin', found no"
    assert found.stderr.startswith(expected)
    assert len(found.stderr.splitlines()) == 1
    assert data.load(folder / "table.csv").feature_names == ("mass", "charge", "run")


def test_arrays_are_read_once(tmp_path, monkeypatch):
    """To see that a file holds no table, no array of it is read."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "images.h5", "w") as file:
        file["x"] = np.zeros((5, 3, 3))
    read, once = [], h5py.Dataset.__getitem__

    def noted(*given, **options):
        read.append(given)
        return once(*given, **options)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", noted)
    known = table_columns.fit_columns({"x": [1.0, 2.0]})
    found = files.read_raw(tmp_path / "images.h5", files.ALL, known)
    assert (found.shape, len(read)) == ((5, 3, 3), 1)
