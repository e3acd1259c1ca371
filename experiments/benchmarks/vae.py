"""Epochs per second of a VAE: vijax beside plain JAX and PyTorch.

The same work for all: 784-400-20 and its mirror, ReLU, batch 128, one draw of z, Adam
1e-3, 60,000 binary images of the size of MNIST (their values do not change the speed).
An epoch is measured after compilation, in turn, so that a slow minute hits all of
them; the best of the repeats is shown. The last columns hold the floating-point rate
against that of a 2048 × 2048 matrix product in JAX on the same machine.

Seen on two cores of an Intel Xeon, alone, best of 2, seconds an epoch (and share of
the matrix product's rate): vijax 1.63 (0.49), with fresh binarisation 1.85 (0.43), a
plain scan 1.42 (0.56); PyTorch 2.13 2.44 (0.33), with fused Adam 2.03, compiled 2.04;
log p(x) at 0.41 of that rate.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from vijax import optimize
from vijax.vae import evidence, likelihoods, losses, models, schedule, train
from vijax.vae.losses import Batch
from vijax.vae.models import VAE

NUM_IMAGES, BATCH_SIZE = 60_000, 128
HIDDEN, LATENT = 400, 20
NUM_BATCHES = NUM_IMAGES // BATCH_SIZE
PRODUCTS = 784 * HIDDEN + HIDDEN * 2 * LATENT + LATENT * HIDDEN + HIDDEN * 784
# Two operations a product, three passes; the images themselves need no gradient.
EPOCH_FLOPS = 2 * (3 * PRODUCTS - 784 * HIDDEN) * NUM_BATCHES * BATCH_SIZE
Step = Callable[[], Any]


def vijax_epoch(images: np.ndarray, *, binary: bool) -> Step:
    """Return an epoch of `train.fit`: shuffling, checks and schedule included."""
    model = make_model(binary=binary)
    state = schedule.start(
        models.init(model, jax.random.key(0)),
        num_steps=10 * NUM_BATCHES,
        learning_rate=1e-3,
        final_fraction=1.0,
    )
    data = Batch(jnp.asarray(images), jnp.ones(()))

    def epoch() -> Any:
        nonlocal state
        state, _ = optimize.minimize(
            losses.negative_elbo(model),
            state,
            jax.random.key(1),
            data,
            optimizer=schedule.adam_cosine(),
            num_chunks=1,
            chunk_size=NUM_BATCHES,
            make_batches=train.shuffled_rows(BATCH_SIZE),
            select=train.select(),
        )
        return state

    return epoch


def plain_epoch(images: np.ndarray) -> Step:
    """Return a scan over batches in their order, as short as it can be written."""
    model, optimizer = make_model(binary=True), optax.adam(1e-3)
    batches = jnp.asarray(images[: NUM_BATCHES * BATCH_SIZE])
    batches = batches.reshape(NUM_BATCHES, BATCH_SIZE, 28, 28)
    params = models.init(model, jax.random.key(0))
    carry = params, optimizer.init(params)
    loss_fn = losses.negative_elbo(model)

    @jax.jit
    def scan(carry: Any, batches: Any) -> Any:
        def step(carry: Any, numbered: Any) -> tuple[Any, None]:
            (params, opt_state), (number, x) = carry, numbered
            key = jax.random.fold_in(jax.random.key(1), number)
            batch = Batch(x, jnp.ones(()))
            gradient = jax.grad(loss_fn, has_aux=True)(params, key, batch)[0]
            updates, opt_state = optimizer.update(gradient, opt_state)
            return (optax.apply_updates(params, updates), opt_state), None

        return jax.lax.scan(step, carry, (jnp.arange(NUM_BATCHES), batches))[0]

    def epoch() -> Any:
        nonlocal carry
        carry = scan(carry, batches)
        return carry

    return epoch


def torch_epoch(images: np.ndarray, *, fused: bool, compiled: bool) -> Step:
    """Return an epoch of the usual PyTorch loop, the images in memory."""
    import torch
    from torch import nn
    from torch.nn import functional

    torch.manual_seed(0)
    encoder = nn.Sequential(
        nn.Linear(784, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT)
    )
    decoder = nn.Sequential(
        nn.Linear(LATENT, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 784)
    )
    params = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(params, lr=1e-3, fused=fused)
    data = torch.from_numpy(images.reshape(-1, 784))

    def negative_elbo(x: Any) -> Any:
        loc, log_scale = encoder(x).chunk(2, dim=1)
        z = loc + torch.exp(log_scale) * torch.randn_like(loc)
        error = functional.binary_cross_entropy_with_logits(
            decoder(z), x, reduction="sum"
        )
        kl = 0.5 * torch.sum(loc**2 + torch.exp(2 * log_scale) - 1 - 2 * log_scale)
        return (error + kl) / len(x)

    loss_fn = torch.compile(negative_elbo) if compiled else negative_elbo

    def epoch() -> None:
        order = torch.randperm(NUM_IMAGES)
        for start in range(0, NUM_BATCHES * BATCH_SIZE, BATCH_SIZE):
            optimizer.zero_grad()
            loss_fn(data[order[start : start + BATCH_SIZE]]).backward()
            optimizer.step()

    return epoch


def make_model(*, binary: bool) -> VAE:
    """Return the VAE that all train."""
    likelihood = likelihoods.bernoulli(binary=binary)
    return models.vae(
        (28, 28),
        latent=LATENT,
        hidden=(HIDDEN,),
        activation="relu",
        likelihood=likelihood,
    )


def evaluation(images: np.ndarray, num_examples: int, num_samples: int) -> Step:
    """Return the importance-sampled log p(x) of some images."""
    model = make_model(binary=True)
    params = models.init(model, jax.random.key(0))
    x = jnp.asarray(images[:num_examples])
    return lambda: evidence.importance(
        model, params, jax.random.key(1), x, num_samples=num_samples
    )


def seconds(step: Step) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    jax.block_until_ready(step())
    return time.perf_counter() - start


def main(repeats: int = 5) -> None:
    """Print seconds, ratios and floating-point rates.

    Args:
        repeats: of everything; the best is shown.
    """
    images = (np.random.default_rng(0).random((NUM_IMAGES, 28, 28)) < 0.13).astype(
        np.float32
    )
    square = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(lambda a: a @ a)
    num_examples, num_samples = 200, 1000
    decode_flops = 2 * (LATENT * HIDDEN + HIDDEN * 784) * num_examples * num_samples
    steps: dict[str, tuple[Step, float]] = {
        "matrix product": (lambda: product(square), 2 * 2048**3),
        "vijax": (vijax_epoch(images, binary=True), EPOCH_FLOPS),
        "vijax, fresh binarisation": (vijax_epoch(images, binary=False), EPOCH_FLOPS),
        "JAX, plain scan": (plain_epoch(images), EPOCH_FLOPS),
        "PyTorch eager, Adam": (
            torch_epoch(images, fused=False, compiled=False),
            EPOCH_FLOPS,
        ),
        "PyTorch eager, fused Adam": (
            torch_epoch(images, fused=True, compiled=False),
            EPOCH_FLOPS,
        ),
        "torch.compile, fused Adam": (
            torch_epoch(images, fused=True, compiled=True),
            EPOCH_FLOPS,
        ),
        "vijax, log p(x)": (
            evaluation(images, num_examples, num_samples),
            decode_flops,
        ),
    }
    best = dict.fromkeys(steps, math.inf)
    for repeat in range(1 + repeats):
        for name, (step, _) in steps.items():
            elapsed = seconds(step)
            if repeat:  # the first call compiles
                best[name] = min(best[name], elapsed)
    print(__doc__.splitlines()[0])
    print(f"{'':28}{'seconds':>9}{'over vijax':>12}{'GFLOP/s':>9}{'of product':>12}")
    peak = steps["matrix product"][1] / best["matrix product"]
    for name, (_, flops) in steps.items():
        rate = flops / best[name]
        print(
            f"{name:28}{best[name]:9.3f}{best[name] / best['vijax']:12.2f}"
            f"{rate / 1e9:9.1f}{rate / peak:12.2f}"
        )


if __name__ == "__main__":
    tyro.cli(main)
