"""Probability as a limit of frequencies, and Bayes' theorem on ten coins.

Rows L1-L3. A bag holds ten coins, one of them with two tails. Again and again a coin
is drawn and tossed: the relative frequency of tail tends to P(tail) with an error that
falls as 1/sqrt(N) (L1); among the tosses that show tail, that of the two-tailed coin
tends to what Bayes' theorem over the partition "which coin was it" gives (L2), 2/11
(L3). More tosses of the same coin update the answer: each posterior is the next prior.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments import common
from vijax.bayes import frequentist, theorem
from vijax.plot.bayes import bayes_theorem as plot
from vijax.validate import check

GROUPS = 32  # of sequences, for the jackknife


@dataclass(frozen=True)
class Config:
    """The bag, and how often it is drawn from."""

    coins: int = 10  # in the bag; one of them has two tails
    sequences: int = 256  # independent runs of draws, a multiple of 32
    tosses: int = 16384  # draws in each run; the error is measured at powers of two
    bags: int = 100_000  # coins that are tossed several times each
    repeats: int = 7  # tosses of each of these coins
    seed: int = 0


def run(config: Config) -> common.Result:
    """Simulate the bag and hold the frequencies against Bayes' theorem."""
    _check(config)
    key_draws, key_repeats = jax.random.split(jax.random.key(config.seed))
    with jax.enable_x64(True):
        metrics, theorem_figure = _ten_coins(config, key_repeats)
        shape = (config.sequences, config.tosses)
        coin, tail = _draw(key_draws, metrics["p_tail_by_coin"], shape)
        unfair = np.asarray(coin == config.coins - 1)
        tail = np.asarray(tail)
        frequency, frequency_figure = _relative_frequency(tail, metrics["p_tail"])
        conditional = frequentist.binomial_estimate((unfair & tail).sum(), tail.sum())
    metrics |= frequency
    metrics["p_unfair_given_tail_simulated"] = float(conditional[0])
    metrics["p_unfair_given_tail_simulated_standard_error"] = float(conditional[1])
    figures = {"ten_coins": theorem_figure, "relative_frequency": frequency_figure}
    return common.Result(metrics, figures)


def _check(config: Config) -> None:
    check(config.coins >= 2, "coins", config.coins, "give at least two")
    valid = config.sequences >= GROUPS and config.sequences % GROUPS == 0
    check(valid, "sequences", config.sequences, f"give a multiple of {GROUPS}")
    check(config.tosses >= 16, "tosses", config.tosses, "give at least 16")
    check(config.bags >= 1000, "bags", config.bags, "give at least 1000")
    check(config.repeats >= 1, "repeats", config.repeats, "give at least one")


def _ten_coins(config: Config, key: jax.Array) -> tuple[dict[str, Any], Any]:
    """Apply Bayes' theorem to one tail, then to tail after tail, and simulate both."""
    prior = jnp.full(config.coins, 1 / config.coins)
    likelihood = jnp.full(config.coins, 0.5).at[-1].set(1.0)

    beliefs = [prior]
    for _ in range(config.repeats):
        beliefs.append(theorem.posterior(beliefs[-1], likelihood))
    repeated = np.asarray(beliefs)[:, -1]
    odds = 2.0 ** np.arange(config.repeats + 1) / (config.coins - 1)

    # coin_i is drawn, then tossed `repeats` times.
    coin, tails = _draw(key, likelihood, (config.bags, config.repeats), same_coin=True)
    coin, all_tails = np.asarray(coin[:, 0]), np.cumprod(np.asarray(tails), axis=1)
    all_tails = np.concatenate([np.ones((config.bags, 1), int), all_tails], axis=1)
    unfair_and_tails = all_tails[coin == config.coins - 1].sum(axis=0)
    repeated_simulated, repeated_error = frequentist.binomial_estimate(
        unfair_and_tails, all_tails.sum(axis=0)
    )
    after_one = np.bincount(coin[all_tails[:, 1] == 1], minlength=config.coins)
    simulated, error = frequentist.binomial_estimate(after_one, after_one.sum())

    figure = plot.ten_coins(
        prior,
        likelihood,
        beliefs[1],
        simulated,
        error,
        repeated=repeated,
        repeated_simulated=repeated_simulated,
        repeated_standard_error=repeated_error,
    )
    deviation = np.abs(np.asarray(simulated - beliefs[1])) / np.asarray(error)
    metrics = {
        "p_tail": float(prior @ likelihood),
        "p_tail_by_coin": np.asarray(likelihood),
        "p_unfair_given_tail": float(beliefs[1][-1]),
        "p_by_coin_given_tail": np.asarray(beliefs[1]),
        "p_by_coin_given_tail_simulated": np.asarray(simulated),
        "p_by_coin_given_tail_simulated_standard_error": np.asarray(error),
        "largest_deviation_in_standard_errors": float(deviation.max()),
        "p_unfair_given_tails": repeated,
        "p_unfair_given_tails_simulated": np.asarray(repeated_simulated),
        "p_unfair_given_tails_simulated_standard_error": np.asarray(repeated_error),
        "max_sequential_error": float(np.abs(repeated - odds / (1 + odds)).max()),
    }
    return metrics, figure


@partial(jax.jit, static_argnames=("shape", "same_coin"))
def _draw(
    key: jax.Array,
    p_tail: jax.Array,
    shape: tuple[int, int],
    *,
    same_coin: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Draw coins from the bag, one a row or one an entry, and toss: (coin, is tail)."""
    key_coin, key_toss = jax.random.split(key)
    coins = (shape[0], 1) if same_coin else shape
    coin = jax.random.randint(key_coin, coins, 0, len(p_tail))
    toss = jax.random.uniform(key_toss, shape, jnp.float32)
    return coin, toss < jnp.asarray(p_tail)[coin]


def _relative_frequency(tail: np.ndarray, p_tail: float) -> tuple[dict[str, Any], Any]:
    """Measure how the error of the relative frequency falls with the draws."""
    frequencies = tail.cumsum(axis=1) / np.arange(1, tail.shape[1] + 1)
    sizes = 2 ** np.arange(int(np.log2(tail.shape[1])) + 1)
    squared = (frequencies[:, sizes - 1] - p_tail) ** 2
    slope, slope_error = _slope(sizes, squared)
    rms = np.sqrt(squared.mean(axis=0))
    estimate = frequentist.binomial_estimate(tail.sum(), tail.size)
    figure = plot.relative_frequencies(
        frequencies[:6],
        sizes,
        rms,
        probability=p_tail,
        slope=slope,
        slope_standard_error=slope_error,
    )
    metrics = {
        "frequency_of_tail": float(estimate[0]),
        "frequency_of_tail_standard_error": float(estimate[1]),
        "frequency_slope": slope,
        "frequency_slope_standard_error": slope_error,
        "sizes": sizes,
        "rms_errors": rms,
        "rms_errors_exact": np.sqrt(p_tail * (1 - p_tail) / sizes),
    }
    return metrics, figure


def _slope(sizes: np.ndarray, squared: np.ndarray) -> tuple[float, float]:
    """Fit log error = slope · log N + const; the slope's error is a jackknife's.

    The sizes share their first draws, so the points of the fit are correlated: only
    whole groups of sequences are left out.
    """

    def fit(squared: np.ndarray) -> float:
        return float(np.polyfit(np.log(sizes), 0.5 * np.log(squared.mean(0)), 1)[0])

    groups = np.array_split(np.arange(len(squared)), GROUPS)
    without = [fit(np.delete(squared, group, axis=0)) for group in groups]
    return fit(squared), float(np.sqrt((GROUPS - 1) * np.var(without)))


def main() -> None:
    """Run the experiment from the command line."""
    common.main(__file__, Config, run)


if __name__ == "__main__":
    main()
