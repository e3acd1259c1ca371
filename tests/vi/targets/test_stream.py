"""Rows from a stream: the full-data answer, whatever their order and their source."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from vijax import vi
from vijax.vi.targets.streams.streamed_model import thinned

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])}
ROWS, BLOCK = 1000, 300  # three whole blocks, and one of 100 rows


def model(x, y, spread=10.0):
    w = numpyro.sample("w", dist.Normal(jnp.zeros(2), spread).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1.0))
    mu = numpyro.deterministic("mu", x @ w)
    with numpyro.plate("rows", len(x)):
        numpyro.sample("y", dist.Normal(mu, sigma), obs=y)


def make_columns():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2)).astype(np.float32)
    y = (x @ np.array([1.0, -2.0]) + 0.5 * rng.normal(size=ROWS)).astype(np.float32)
    order = np.argsort(y)  # the worst of orders
    return {"x": x[order], "y": y[order]}


def batches(columns, sizes=(7, 450, 1, 300)):
    """Yield batches of odd sizes."""
    start, number = 0, 0
    while start < ROWS:
        end = start + sizes[number % len(sizes)]
        yield {name: array[start:end] for name, array in columns.items()}
        start, number = end, number + 1


@pytest.fixture(scope="module")
def fit():
    target = vi.from_stream(model, vi.Stream(make_columns(), block_size=BLOCK))
    return vi.fit(target, jax.random.key(0), family="full_rank")


@pytest.fixture(scope="module")
def whole():
    with jax.enable_x64(True):
        target = vi.from_numpyro(model, **make_columns())
        return vi.fit(target, jax.random.key(1), family="full_rank")


# ---- the stream ----


def rows_of(stream):
    blocks = [stream.read(index) for index in range(stream.num_blocks)]
    return {name: np.concatenate([b[name] for b in blocks]) for name in stream.columns}


def sources(kind, folder):
    columns = make_columns()
    if kind == "arrays":
        return vi.Stream(columns, block_size=BLOCK)
    if kind == "iterable":
        return vi.Stream(lambda: batches(columns), block_size=BLOCK)
    if kind == "memmap":
        maps = {}
        for name, array in columns.items():
            array.tofile(folder / name)
            maps[name] = np.memmap(folder / name, np.float32, "r", shape=array.shape)
        return vi.Stream(maps, block_size=BLOCK)
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    lists = arrow.FixedSizeListArray.from_arrays(columns["x"].ravel(), 2)
    lists = lists if kind == "fixed" else lists.cast(arrow.list_(arrow.float32()))
    table = arrow.table({"x": lists, "y": columns["y"], "name": ["a"] * ROWS})
    paths = [folder / "one.parquet", folder / "two.parquet"]
    parquet.write_table(table[:550], paths[0])
    parquet.write_table(table[550:], paths[1])
    return vi.Stream.parquet(paths, ["x", "y"], block_size=BLOCK)


@pytest.mark.parametrize("kind", ["arrays", "iterable", "memmap", "parquet", "fixed"])
def test_every_source_gives_the_same_rows(kind, tmp_path):
    stream, columns = sources(kind, tmp_path), make_columns()
    assert (stream.num_rows, stream.num_blocks) == (ROWS, 4)
    for _ in range(2):
        found = rows_of(stream)
        for name, array in columns.items():
            np.testing.assert_array_equal(found[name], array)
            assert found[name].dtype == np.float32
    assert len(stream.read(3)["y"]) == 100
    np.testing.assert_array_equal(stream.read(1)["y"], columns["y"][300:600])
    again = rows_of(stream.regrouped(77))
    np.testing.assert_array_equal(again["x"], columns["x"])


def test_sample_is_of_whole_rows_from_all_over():
    columns = {"i": np.arange(ROWS), "j": 2 * np.arange(ROWS)}
    stream = vi.Stream(columns, block_size=BLOCK)
    found = stream.sample(400)
    assert len(set(found["i"].tolist())) == 400
    np.testing.assert_array_equal(found["j"], 2 * found["i"])
    # Of 400 of 1000 rows, about 120 are of each whole block (sd 7.1 at most), shuffled.
    counts = np.bincount(found["i"] // BLOCK)
    np.testing.assert_allclose(counts[:3], 120, atol=4 * 7.1)
    assert abs(np.corrcoef(found["i"], np.arange(400))[0, 1]) < 4 / 20
    np.testing.assert_array_equal(found["i"], stream.sample(400)["i"])
    assert (found["i"] != stream.sample(400, seed=1)["i"]).any()
    assert sorted(stream.sample(10**6)["i"].tolist()) == list(range(ROWS))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({}, "source is not valid: give a dict of arrays"),
        ({"y": np.zeros(0)}, "the stream's rows = 0 is not valid"),
        ({"y": np.zeros(3), "x": np.zeros(2)}, "its columns have lengths"),
        ({"y": np.array(1.0)}, "its columns have lengths"),
        ({"y": np.array(["a"])}, "column 'y' of source is of <U1: give real numbers"),
        ({"y": np.array([0.0, 1.0, np.nan])}, "column 'y' is not finite in row 2"),
        (
            {"y": np.ma.array([0.0, 1.0], mask=[0, 1])},
            "column 'y' .* has masked entrie",
        ),
        ({"y": np.array([2**40])}, "column 'y' has whole numbers up to 1099511627776"),
        (
            {"y": 1.6e9 + np.arange(90.0)},
            "column 'y' has numbers like 1600000000, whic",
        ),
        (lambda: [{"y": np.zeros(2)}, {"z": np.zeros(2)}], "batch 1 of the source has"),
        (lambda: [{"y": np.zeros(2)}, {"y": np.zeros(2, int)}], "batch 1 of the sou"),
        (lambda: [], "the stream's rows = 0 is not valid"),
    ],
)
def test_what_is_no_table_is_refused(source, words):
    with pytest.raises(ValueError, match=words):
        vi.Stream(source, block_size=2)


def test_block_size_and_columns_are_checked(tmp_path):
    with pytest.raises(ValueError, match="block_size = 0 is not valid"):
        vi.Stream({"y": np.zeros(3)}, block_size=0)
    arrow, parquet = (pytest.importorskip(f"pyarrow{x}") for x in ("", ".parquet"))
    parquet.write_table(arrow.table({"y": np.zeros(3)}), tmp_path / "table")
    with pytest.raises(
        ValueError, match=r"table: there is no column 'x': give some of y"
    ):
        vi.Stream.parquet(tmp_path / "table", ["x"])


def test_rows_that_change_between_passes_are_refused():
    columns = make_columns()
    stream = vi.Stream(columns, block_size=BLOCK)
    columns["y"][450] += 1.0
    with pytest.raises(ValueError, match="block 1 of the stream has other rows"):
        rows_of(stream)
    passes = iter([batches(make_columns())])
    once = vi.Stream(lambda: next(passes, []), block_size=BLOCK)
    with pytest.raises(ValueError, match="the stream ends before block 0"):
        rows_of(once)


# ---- its density and its fits ----


@pytest.mark.thorough
def test_density_and_gradient_are_those_of_all_rows(x64):
    position = jnp.array([0.3, 0.9, -1.5])
    target = vi.from_numpyro(model, **make_columns(), spread=3.0)
    streamed = vi.from_stream(
        model, vi.Stream(make_columns(), block_size=BLOCK), spread=3.0
    )
    assert streamed.streamed
    assert not target.streamed
    expected = jax.jit(jax.value_and_grad(target.log_density))(position)
    found = jax.jit(jax.value_and_grad(streamed.log_density))(position)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-10)
    # The gradient is a gradient, and a batch of positions reads the rows once.
    look = jax.jit(jax.vmap(streamed.log_density))
    step = 1e-5 * jnp.eye(3)
    slopes = (look(position + step) - look(position - step)) / 2e-5
    np.testing.assert_allclose(slopes, found[1], rtol=1e-6)
    assert streamed.constrain(position).keys() == {"w", "sigma"}


def test_fit_of_sorted_rows_is_the_full_data_fit(fit, whole):
    with jax.enable_x64(True):
        sds = np.asarray(whole.q.scale())
    assert fit.trusted
    assert fit.q.loc.dtype == np.float64
    # Both know their means and sds to 1 % of an sd.
    away = np.asarray(fit.q.loc) - np.asarray(whole.q.loc)
    np.testing.assert_allclose(away / sds, 0.0, atol=0.02)
    with jax.enable_x64(True):
        np.testing.assert_allclose(fit.q.scale() / sds, 1.0, atol=0.02)
    elbos = [float(one.elbo) for one in (fit, whole)]
    error = np.hypot(float(fit.elbo_se), float(whole.elbo_se))
    assert abs(elbos[0] - elbos[1]) < 5 * error + 0.01
    assert "loses digits" not in str(fit)


@pytest.mark.slow
def test_numbers_of_64_bits_keep_them(fit):
    rng = np.random.default_rng(2)
    columns = {"x": rng.normal(size=(ROWS, 2)), "y": rng.integers(0, 9, ROWS)}
    streamed = vi.from_stream(model, vi.Stream(columns, block_size=BLOCK))
    with jax.enable_x64(True):
        target = vi.from_numpyro(model, **columns)
        position = jnp.array([0.3, 0.9, -1.5])
        expected = target.log_density(position)
        np.testing.assert_allclose(
            jax.jit(streamed.log_density)(position), expected, rtol=1e-13
        )


@pytest.mark.thorough
def test_order_and_blocks_do_not_matter(fit):
    columns = make_columns()
    order = np.random.default_rng(5).permutation(ROWS)
    shuffled = {name: array[order] for name, array in columns.items()}
    other = vi.from_stream(model, vi.Stream(lambda: batches(shuffled), block_size=640))
    with jax.enable_x64(True):
        positions = fit.q.sample(jax.random.key(3), 4)
        one, two = (
            jax.jit(jax.vmap(jax.value_and_grad(t.log_density)))(positions)
            for t in (fit.target, other)
        )
    np.testing.assert_allclose(one[0], two[0], rtol=1e-12)
    np.testing.assert_allclose(one[1], two[1], atol=1e-7)


@pytest.mark.thorough
def test_start_weighs_as_much_as_all_rows():
    target = vi.from_stream(model, vi.Stream(make_columns(), block_size=BLOCK))
    small = thinned(target)
    assert not small.streamed
    with jax.enable_x64(True):  # all rows are fewer than it takes
        position = jnp.array([0.3, 0.9, -1.5])
        np.testing.assert_allclose(
            small.log_density(position), target.log_density(position), rtol=1e-12
        )


def test_summary_and_draws_of_a_streamed_fit(fit, whole, key):
    table = vi.summary(fit, num_samples=100)
    means = np.append(table["w"]["mean"], table["sigma"]["mean"])
    np.testing.assert_allclose(means, whole.means, atol=4e-3)
    w = np.asarray(vi.sample(fit, key, 2000)["w"])
    sds = np.asarray(whole.sds)[:2]
    np.testing.assert_allclose(w.std(0) / sds, 1.0, atol=4 / np.sqrt(4000))


@pytest.mark.thorough
def test_streamed_fit_predicts_new_rows(fit, whole, key):
    x = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])
    found = vi.predict(fit, key, x=x, y=None, num_samples=4000)
    y = np.asarray(found["y"])
    assert y.shape == (4000, 3)
    w, sigma = np.asarray(whole.means)[:2], np.asarray(whole.means)[2]
    error = 4 * sigma / np.sqrt(4000)
    np.testing.assert_allclose(y.mean(axis=0), x @ w, atol=error)
    spread = y.std(axis=0) / sigma
    np.testing.assert_allclose(spread, 1.0, atol=4 / np.sqrt(8000) + 0.01)
    with pytest.raises(ValueError, match="fit is to a stream, whose rows are not pred"):
        vi.predict(fit, key)


def test_streamed_fit_is_stored(fit, tmp_path):
    path = vi.save(fit, tmp_path / "fit")
    loaded = vi.load(path, fit.target)
    np.testing.assert_array_equal(loaded.q.loc, fit.q.loc)
    with pytest.raises(ValueError, match="holds no data: give the target"):
        vi.load(path, model)
    columns = make_columns()
    columns["y"][-1] += 0.1
    other = vi.from_stream(model, vi.Stream(columns, block_size=BLOCK))
    with pytest.raises(ValueError, match="rows of the stream is"):
        vi.load(path, other)


# ---- refusals ----


def with_unknowns_of_rows(x, y):
    with numpyro.plate("rows", len(y)):
        z = numpyro.sample("z", dist.Normal(0.0, 1.0))
        numpyro.sample("y", dist.Normal(z, 1.0), obs=y)


def without_plate(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


def of_another_size(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", 2):
        numpyro.sample("y", dist.Normal(w, 1.0), obs=x[:2, 0])


def standardised_inside(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(w * (y - y.mean()), 1.0), obs=x[:, 0])


def prior_from_rows(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, jnp.std(y)))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


def site_outside_of_the_plate(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    numpyro.sample("x", dist.Normal(w, 1.0).expand([len(x)]).to_event(1), obs=x[:, 0])
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


def prior_from_their_number(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, len(y) ** -0.5))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


def with_discrete(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    k = numpyro.sample("k", dist.Bernoulli(0.5))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(w + k, 1.0), obs=y)


def with_subsample(x, y):
    w = numpyro.sample("w", dist.Normal(0.0, 1.0))
    with numpyro.plate("some", 10, subsample_size=2):
        numpyro.sample("z", dist.Normal(w, 1.0), obs=jnp.zeros(2))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(w, 1.0), obs=y)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (with_unknowns_of_rows, "its unknown site 'z' is in the plate 'rows' of rows"),
        (without_plate, "no site is observed in a plate named 'rows'"),
        (of_another_size, "its plate 'rows' has 2 rows where a block has"),
        (standardised_inside, "its log density is no sum over rows, for of some"),
        (prior_from_rows, "its log density is no sum over rows, for of some"),
        (site_outside_of_the_plate, "its log density is no sum over rows, for of some"),
        (prior_from_their_number, "its log density is no sum over rows, for of some"),
        (with_discrete, "its unknown site 'k' is discrete; sum it out"),
        (with_subsample, "its plate 'some' takes a subsample"),
    ],
)
def test_models_that_look_at_more_than_a_row_are_refused(function, words):
    stream = vi.Stream(make_columns(), block_size=BLOCK)
    with pytest.raises(ValueError, match=words):
        vi.from_stream(function, stream)


def test_columns_are_given_once():
    stream = vi.Stream(make_columns(), block_size=BLOCK)
    with pytest.raises(ValueError, match=r"kwargs = \['y'\] are columns of the stream"):
        vi.from_stream(model, stream, y=np.zeros(3))


@pytest.mark.parametrize(
    "family", ["flow", "low_rank", "laplace", "structured", "auto"]
)
def test_families_that_take_many_passes_are_refused(fit, family, key):
    with pytest.raises(ValueError, match=r"not valid for a stream.*mean_field"):
        vi.fit(fit.target, key, family=family)


def test_what_is_not_known_of_a_stream_is_refused(fit, key):
    with pytest.raises(ValueError, match="fit is to a stream"):
        vi.nuts(fit, key)
    with pytest.raises(ValueError, match=r"fit is to a stream.*vi\.log_likelihood"):
        vi.log_likelihood(fit, key, 10)


def test_rows_that_change_during_a_fit_are_told(key):
    columns = make_columns()
    target = vi.from_stream(model, vi.Stream(columns, block_size=BLOCK))
    columns["y"][5] = 0.0
    with pytest.raises(ValueError, match="block 0 of the stream has other rows than"):
        vi.fit(target, key)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory")
def test_ten_million_rows_take_less_than_two_gigabytes(tmp_path):
    """In a process of its own, whose memory is its own."""
    script = tmp_path / "script.py"
    script.write_text(BIG)
    done = subprocess.run(
        [sys.executable, script, tmp_path],
        capture_output=True,
        text=True,
        env=ENVIRONMENT,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    memory, *numbers = map(float, done.stdout.split())
    assert memory < 2.0
    mean, sd, expected_mean, expected_sd = numbers
    assert abs(mean - expected_mean) < 0.02 * expected_sd
    assert abs(sd / expected_sd - 1) < 0.02


BIG = """
import re, sys
from pathlib import Path
import jax, numpy as np, numpyro, numpyro.distributions as dist
from vijax import vi

def model(y):
    mean = numpyro.sample("mean", dist.Normal(0.0, 10.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Normal(mean, 2.0), obs=y)

rows, path = 10_000_000, Path(sys.argv[1]) / "y"
y = np.memmap(path, np.float32, "w+", shape=(rows,))
total, rng = 0.0, np.random.default_rng(0)
for start in range(0, rows, 1_000_000):
    part = np.sort(rng.normal(3.0, 2.0, 1_000_000).astype(np.float32))
    y[start : start + 1_000_000] = part
    total += part.astype(float).sum()
y.flush()
y = np.memmap(path, np.float32, "r", shape=(rows,))
fit = vi.fit(vi.from_stream(model, vi.Stream({"y": y})), jax.random.key(0))
assert fit.trusted, str(fit)
precision = rows / 4 + 1 / 100
# The peak of this program alone: getrusage's is at least that of who started it.
peak = re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())
print(int(peak[1]) / 1e6)
print(fit.q.loc[0], fit.q.scale()[0], total / 4 / precision, precision**-0.5)
"""


@pytest.mark.slow
def test_two_processes_give_the_answer_of_one(tmp_path):
    """Each has a part of the rows, of other lengths; on the loopback interface."""
    script = tmp_path / "script.py"
    script.write_text(PART)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def begin(number, index):
        command = [sys.executable, script, port, str(number), str(index)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, env=ENVIRONMENT, **pipes)

    processes = [begin(2, 0), begin(2, 1), begin(1, 0)]
    found = []
    for process in processes:
        output, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-2000:]
        last = output.splitlines()[-1]
        found.append(np.array(last.split(), float))
    np.testing.assert_array_equal(found[0], found[1])
    # The searches start from other rows, and end within 0.1 % of an sd.
    mean, sd, elbo = found[2]
    np.testing.assert_allclose((found[0][0] - mean) / sd, 0.0, atol=1e-3)
    np.testing.assert_allclose(found[0][1] / sd, 1.0, atol=1e-3)
    np.testing.assert_allclose(found[0][2], elbo, atol=1e-2)


PART = """
import sys
import jax, numpy as np, numpyro, numpyro.distributions as dist
port, number, index = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
if number > 1:
    jax.distributed.initialize(f"127.0.0.1:{port}", number, index)
from vijax import vi

def model(y):
    rate = numpyro.sample("rate", dist.HalfNormal(10.0))
    with numpyro.plate("rows", len(y)):
        numpyro.sample("y", dist.Poisson(rate), obs=y)

y = np.sort(np.random.default_rng(0).poisson(3.0, 1001))
own = y if number == 1 else (y[:600], y[600:])[index]
target = vi.from_stream(model, vi.Stream({"y": own}, block_size=128))
fit = vi.fit(target, jax.random.key(0))
assert fit.trusted, str(fit)
print(fit.q.loc[0], np.exp(float(fit.q.log_scale[0])), fit.elbo)
"""
