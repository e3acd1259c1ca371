"""Make `special.npz`: Beta and Gamma quantiles and their derivatives by mpmath.

    python -m tests.references.make_special        (a minute on one core)

Provenance. Every number is computed with 77 decimal digits from the power series of
the regularised incomplete functions, which has positive terms only,

    I_x(a, b) = x^a (1-x)^b / (a B(a, b)) * sum_n (a+b)_n / (a+1)_n x^n
    P(a, x)   = x^a e^-x / Gamma(a+1)     * sum_n x^n / (a+1)_n

in integer arithmetic of 256 bits for the sum and mpmath for the rest. The quantile is
Newton's in logit x (log x), started from SciPy's and stopped at 1e-45; derivatives
with respect to the parameters are central differences of step 1e-25. `check` compares
the cumulative functions with mpmath's own `betainc` and `gammainc`.
"""

from pathlib import Path

import mpmath as mp
import numpy as np
from scipy import special

BITS = 256
mp.mp.prec = BITS
FILE = Path(__file__).with_name("special.npz")
SEED, NUM_POINTS = 20261122, 2400


def _fixed(value):
    return int(mp.floor(mp.ldexp(mp.mpf(value), BITS)))


def _series(top, bottom, x):
    """Sum (top)_n / (bottom)_n x^n; top None leaves its factor out."""
    term = total = one = 1 << BITS
    x, bottom = _fixed(x), _fixed(bottom)
    top = None if top is None else _fixed(top)
    n = 0
    while term > (total >> BITS):
        term = term * x // (bottom + n * one)
        if top is not None:
            term = term * (top + n * one) >> BITS
        total += term
        n += 1
    return mp.ldexp(mp.mpf(total), -BITS)


def beta_tails(a, b, t):
    """Return (lower tail, upper tail) of Beta(a, b) at x = 1 / (1 + e^-t)."""
    x, y = 1 / (1 + mp.exp(-t)), 1 / (1 + mp.exp(t))
    # The series is short in the variable of the smaller parameter, below a half.
    if (x > 0.5 and y < x) if a <= b else y <= 0.5:
        return beta_tails(b, a, -t)[::-1]
    log_weight = (
        a * mp.log(x)
        + b * mp.log(y)
        + mp.loggamma(a + b)
        - mp.loggamma(a + 1)
        - mp.loggamma(b)
    )
    lower = mp.exp(log_weight) * _series(a + b, a + 1, x)
    return lower, 1 - lower


def gamma_tails(a, t):
    """Return (lower tail, upper tail) of Gamma(a, rate 1) at x = e^t."""
    x = mp.exp(t)
    lower = mp.exp(a * t - x - mp.loggamma(a + 1)) * _series(None, a + 1, x)
    return lower, 1 - lower


def beta_log_density(a, b, t):
    """Log density of t = logit x."""
    x, y = 1 / (1 + mp.exp(-t)), 1 / (1 + mp.exp(t))
    log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
    return a * mp.log(x) + b * mp.log(y) - log_beta


def gamma_log_density(a, t):
    """Log density of t = log x."""
    return a * t - mp.exp(t) - mp.loggamma(a)


def solve(tails, log_density, parameters, p, upper, t):
    """Return t at which the chosen tail is p: Newton in the log of the tail."""
    smaller = int((p > 0.5) != upper)  # 0: follow the lower tail, 1: the upper
    target = mp.log(p if smaller == upper else 1 - p)
    for _ in range(200):
        tail = tails(*parameters, t)[smaller]
        slope = mp.exp(log_density(*parameters, t)) / tail
        step = (target - mp.log(tail)) / slope * (-1 if smaller else 1)
        t += step
        if abs(step) < mp.mpf("1e-45") * max(1, abs(t)):
            return t
    raise ArithmeticError(f"no convergence at {parameters}, {p}, {upper}")


def gradient(tails, log_density, parameters, t):
    """Return dt/dparameter and dt/dp at a quantile."""
    density = mp.exp(log_density(*parameters, t))
    step, slopes = mp.mpf("1e-25"), []
    for i, value in enumerate(parameters):
        shifted = [
            [*parameters[:i], value * (1 + sign * step), *parameters[i + 1 :]]
            for sign in (1, -1)
        ]
        high, low = (tails(*each, t)[0] for each in shifted)
        slopes.append(-(high - low) / (2 * step * value) / density)
    return [*slopes, 1 / density]


def draw(rng, num_parameters):
    """Draw parameters, a probability, and whether it is an upper tail."""
    parameters = np.exp(
        rng.uniform(np.log(1e-3), np.log(1e6), (NUM_POINTS, num_parameters))
    )
    p = np.exp(rng.uniform(np.log(1e-12), np.log(0.5), NUM_POINTS))
    kind = np.arange(NUM_POINTS) % 5  # p small, 1 - p small, p uniform, and the upper
    p = np.where(kind == 1, 1 - p, p)
    p = np.where(kind == 2, rng.uniform(size=NUM_POINTS), p)
    p = np.where(kind == 4, rng.uniform(size=NUM_POINTS), p)
    return parameters, p, kind >= 3


def start(quantile, tail_constant, p, upper):
    """Start Newton at SciPy's answer, or at the power law where that underflows."""
    x, y = quantile
    if x > 0 and y > 0:
        return mp.log(x) - mp.log(y)
    # The smaller tail is p ~ e^(power t) e^-constant there.
    sign = -1 if (p > 0.5) != upper else 1
    power, constant = tail_constant[0 if sign == 1 else 1]
    return sign * (mp.log(min(p, 1 - p)) + constant) / power


def table(name, rng):
    """Return the columns of one distribution's table."""
    num_parameters = {"beta": 2, "gamma": 1}[name]
    parameters, p, upper = draw(rng, num_parameters)
    rows = []
    for values, prob, is_upper in zip(parameters, p, upper, strict=True):
        exact = [mp.mpf(float(value)) for value in values]
        if name == "beta":
            a, b = exact
            quantile = _scipy_beta(*values, prob, is_upper)
            log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
            powers = [(a, mp.log(a) + log_beta), (b, mp.log(b) + log_beta)]
            functions = beta_tails, beta_log_density
        else:
            (a,) = exact
            quantile = _scipy_gamma(*values, prob, is_upper), 1.0
            powers = [(a, mp.loggamma(a + 1))]
            functions = gamma_tails, gamma_log_density
        t = start(quantile, powers, prob, is_upper)
        t = solve(*functions, exact, mp.mpf(float(prob)), bool(is_upper), t)
        rows.append([t, *gradient(*functions, exact, t)])
    columns = np.array(rows, dtype=object)
    t = columns[:, 0]
    x = [mp.exp(v) if name == "gamma" else 1 / (1 + mp.exp(-v)) for v in t]
    y = [1 / (1 + mp.exp(v)) for v in t]
    out = {"parameters": parameters, "p": p, "upper": upper}
    out |= {"t": t.astype(float), "x": np.array(x).astype(float)}
    out |= {"gradient": columns[:, 1:].astype(float)}
    if name == "beta":
        out["y"] = np.array(y).astype(float)
    return {f"{name}_{key}": value for key, value in out.items()}


def _scipy_beta(a, b, p, upper):
    forward, backward = special.betaincinv, special.betainccinv
    if upper:
        forward, backward = backward, forward
    return forward(a, b, p), backward(b, a, p)


def _scipy_gamma(a, p, upper):
    return (special.gammainccinv if upper else special.gammaincinv)(a, p)


def check():
    """Compare the series with mpmath's own functions."""
    for a, b, x in [(0.3, 5.5, 0.2), (30.0, 2.5, 0.97), (1e-3, 1e-2, 0.4)]:
        t = mp.log(mp.mpf(x) / (1 - mp.mpf(x)))
        other = mp.betainc(a, b, 0, x, regularized=True)
        assert abs(beta_tails(mp.mpf(a), mp.mpf(b), t)[0] / other - 1) < 1e-50
        t = mp.log(mp.mpf(x) * a)
        other = mp.gammainc(a, 0, mp.mpf(x) * a, regularized=True)
        assert abs(gamma_tails(mp.mpf(a), t)[0] / other - 1) < 1e-50


def main():
    """Write the table."""
    check()
    rng = np.random.default_rng(SEED)
    np.savez_compressed(FILE, **table("beta", rng), **table("gamma", rng))


if __name__ == "__main__":
    main()
