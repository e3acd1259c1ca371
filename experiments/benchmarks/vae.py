"""Epochs per second of a VAE: vijax beside plain JAX and PyTorch.

The same work for all: 784-400-20 and its mirror, ReLU, batch 128, one draw of z, Adam
1e-3, 60,000 binary images of the size of MNIST (their values do not change the speed).
Everything is measured in turn after its compilation, each time between products of two
2048 × 2048 matrices in JAX: the medians of the seconds and of the shares of those
products' floating-point rate are shown. A machine whose speed drifts, as shared ones
do, changes the first and hardly the second.

The last lines hold what no program can pass: an epoch of nothing but its matrix
products at the full rate, and how many times as fast as PyTorch that would be.

Seen on two quiet cores of a shared AMD EPYC (AVX2), seconds (and share of the product's
rate): vijax 1.80 (0.63), with fresh binarisation 2.07 (0.61); PyTorch 2.13 eager 3.06
(0.39), with fused Adam 2.74 (0.44), compiled as well 2.51 (0.49); a plain scan 1.58
(0.74), batches in their order and no losses kept; log p(x) at 0.71 of that rate. A
plain scan that shuffles and keeps the losses, as vijax does, takes 1.12 times vijax's
time (four rounds of 2026-11-28 beside other work, where the plain one takes 0.92). An
epoch of products alone would have been 2.62 times as fast as PyTorch eager, vijax's is
1.70 times. With other work beside it the same machine showed ratios of 0.97 (fused
Adam) to 2.1 (eager).
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro

from vijax import optimize
from vijax.vae.evaluation import log_evidence
from vijax.vae.models import autoencoders, likelihoods, losses
from vijax.vae.models.autoencoders import VAE
from vijax.vae.models.losses import Batch
from vijax.vae.training import optimizers, runner
from vijax.vae.training.optimizers import Adam
from vijax.vae.training.runner import Data

NUM_IMAGES, BATCH_SIZE = 60_000, 128
HIDDEN, LATENT = 400, 20
NUM_BATCHES = NUM_IMAGES // BATCH_SIZE
PRODUCTS = 784 * HIDDEN + HIDDEN * 2 * LATENT + LATENT * HIDDEN + HIDDEN * 784
# Two operations a product, three passes; the images themselves need no gradient.
EPOCH_FLOPS = 2 * (3 * PRODUCTS - 784 * HIDDEN) * NUM_BATCHES * BATCH_SIZE
Step = Callable[[], Any]


def vijax_epoch(images: np.ndarray, *, binary: bool) -> Step:
    """Return an epoch of `training.fit`: shuffling, checks and schedule included."""
    model = make_model(binary=binary)
    optimizer = Adam(1e-3, final_fraction=1.0)
    state = optimizers.start(
        autoencoders.init(model, jax.random.key(0)),
        optimizer,
        num_steps=10 * NUM_BATCHES,
    )
    rows = jnp.arange(len(images))
    data = Data(jnp.asarray(images), rows, jnp.ones(()))

    def epoch() -> Any:
        nonlocal state
        state, _ = optimize.minimize(
            losses.negative_elbo(model),
            state,
            jax.random.key(1),
            data,
            optimizer=optimizers.transformation(optimizer),
            num_chunks=1,
            chunk_size=NUM_BATCHES,
            make_batches=runner.shuffled_rows(BATCH_SIZE),
            select=runner.select(),
        )
        return state

    return epoch


def plain_epoch(images: np.ndarray, *, shuffled: bool) -> Step:
    """Return a scan over batches, as short as it can be written.

    Args:
        images: of the epoch.
        shuffled: whether the batches are drawn anew and the losses kept, as vijax does;
            else they come in their order, and nothing is kept.
    """
    model, optimizer = make_model(binary=True), optax.adam(1e-3)
    data = jnp.asarray(images[: NUM_BATCHES * BATCH_SIZE])
    if not shuffled:
        data = data.reshape(NUM_BATCHES, BATCH_SIZE, 28, 28)
    params = autoencoders.init(model, jax.random.key(0))
    carry = params, optimizer.init(params)
    loss_fn = losses.negative_elbo(model)

    @jax.jit
    def scan(carry: Any, data: Any) -> Any:
        order = data
        if shuffled:
            order = jax.random.permutation(jax.random.key(2), len(data))
            order = order.reshape(NUM_BATCHES, BATCH_SIZE)

        def step(carry: Any, numbered: Any) -> tuple[Any, Any]:
            (params, opt_state), (number, x) = carry, numbered
            key = jax.random.fold_in(jax.random.key(1), number)
            batch = Batch(data[x] if shuffled else x, jnp.ones(()))
            gradient = jax.value_and_grad(loss_fn, has_aux=True)
            terms, slope = gradient(params, key, batch)
            updates, opt_state = optimizer.update(slope, opt_state)
            kept = terms if shuffled else None
            return (optax.apply_updates(params, updates), opt_state), kept

        return jax.lax.scan(step, carry, (jnp.arange(NUM_BATCHES), order))

    def epoch() -> Any:
        nonlocal carry
        carry, _ = scan(carry, data)
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
    return autoencoders.vae(
        (28, 28),
        latent=LATENT,
        hidden=(HIDDEN,),
        activation="relu",
        likelihood=likelihood,
    )


def evaluation(images: np.ndarray, num_examples: int, num_samples: int) -> Step:
    """Return the importance-sampled log p(x) of some images."""
    model = make_model(binary=True)
    params = autoencoders.init(model, jax.random.key(0))
    x = jnp.asarray(images[:num_examples])
    return lambda: log_evidence.importance_log_evidence(
        model, params, jax.random.key(1), x, num_samples=num_samples
    )


def seconds(step: Step) -> float:
    """Return the time of one call."""
    start = time.perf_counter()
    jax.block_until_ready(step())
    return time.perf_counter() - start


def measure(steps: dict[str, Step], product: Step, repeats: int) -> dict[str, Any]:
    """Return the seconds of each step and of the products around it, (repeats, 2)."""
    found: dict[str, Any] = {name: [] for name in steps}
    for repeat in range(1 + repeats):
        for name, step in steps.items():
            before = [seconds(product) for _ in range(3)]
            elapsed = seconds(step)
            after = [seconds(product) for _ in range(3)]
            if repeat:  # the first call compiles
                found[name].append((elapsed, np.median(before + after)))
    return {name: np.array(pairs) for name, pairs in found.items()}


def main(repeats: int = 5) -> None:
    """Print seconds, ratios and shares of the matrix product's rate.

    Args:
        repeats: of everything; medians are shown.
    """
    images = (np.random.default_rng(0).random((NUM_IMAGES, 28, 28)) < 0.13).astype(
        np.float32
    )
    square = jax.random.normal(jax.random.key(0), (2048, 2048))
    product = jax.jit(lambda a: a @ a)
    num_examples, num_samples = 200, 1000
    decode_flops = 2 * (LATENT * HIDDEN + HIDDEN * 784) * num_examples * num_samples
    steps = {
        "vijax": vijax_epoch(images, binary=True),
        "vijax, fresh binarisation": vijax_epoch(images, binary=False),
        "JAX, plain scan": plain_epoch(images, shuffled=False),
        "... shuffled, losses kept": plain_epoch(images, shuffled=True),
        "PyTorch eager, Adam": torch_epoch(images, fused=False, compiled=False),
        "PyTorch eager, fused Adam": torch_epoch(images, fused=True, compiled=False),
        "torch.compile, fused Adam": torch_epoch(images, fused=True, compiled=True),
        "vijax, log p(x)": evaluation(images, num_examples, num_samples),
    }
    found = measure(steps, lambda: product(square), repeats)
    flops = dict.fromkeys(steps, EPOCH_FLOPS) | {"vijax, log p(x)": decode_flops}
    median = {name: float(np.median(pairs[:, 0])) for name, pairs in found.items()}
    print(__doc__.splitlines()[0])
    print(f"{'':28}{'seconds':>9}{'over vijax':>12}{'of product':>12}")
    for name, pairs in found.items():
        share = np.median(flops[name] / pairs[:, 0] / (2 * 2048**3 / pairs[:, 1]))
        over = median[name] / median["vijax"]
        print(f"{name:28}{median[name]:9.3f}{over:12.2f}{share:12.2f}")
    rate = 2 * 2048**3 / np.median(np.concatenate(list(found.values()))[:, 1])
    least = EPOCH_FLOPS / rate
    torch = median["PyTorch eager, Adam"]
    print(f"matrix product: {rate / 1e9:.0f} GFLOP/s; at this rate an epoch's products")
    print(f"take {least:.3f} s, {torch / least:.2f} times as fast as PyTorch eager.")


if __name__ == "__main__":
    tyro.cli(main)
