"""A long stochastic fit in parts: a progress bar, and checkpoints between them.

The parts run the same compiled loop as a whole fit, cut at other places, so that a
fit that was killed and goes on ends with the bits of one that was not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vijax import checkpoint, fingerprint
from vijax.types import Key
from vijax.vi.methods.stochastic_epochs import Carry, End
from vijax.vi.targets.target import Target

CHUNKS = 40  # a part: 1000 steps


def run_in_parts(
    run: Callable[..., Any], folder: Path | None, about: dict[str, str]
) -> End:
    """Run to the end, from the newest checkpoint in `folder` if there is one.

    Args:
        run: (carry or None, until or None) -> the carry at chunk `until`, or, without
            `until`, the End.
        folder: for checkpoints; None for the progress bar alone.
        about: what must be the same for a fit to go on, as text.

    Errors: ValueError where the folder holds another fit's checkpoint; OSError where it
    cannot be written.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from vijax.vi.families.gaussian import MeanField
        >>> from vijax.vi.methods.stochastic_epochs import run
        >>> q = MeanField.init(jnp.zeros(1), jnp.ones(1))
        >>> def loss(q, key, eps):
        ...     z = q.transform(eps)
        ...     return jnp.mean(0.5 * (z - 3.0) ** 2) - q.entropy(), None
        >>> @jax.jit
        ... def part(carry=None, until=None):
        ...     options = {"optimizer": optax.adam(0.05), "num_draws": 2}
        ...     options |= {"num_steps": 25_200, "tolerance": 0.01}
        ...     key, parts = jax.random.key(0), {"carry": carry, "until": until}
        ...     return run(q, loss, key, None, **options, **parts)
        >>> end = run_in_parts(part, None, {})
        >>> bool(end.done), end.q.loc.round(1).tolist()
        (True, [3.0])
    """
    carry: Carry = run(None, 0)
    if folder is not None and checkpoint.latest(folder) is not None:
        _, carry = checkpoint.restore(folder, carry, about=about)
    num_chunks, chunk_size = carry.losses.shape
    steps = int(carry.chunk) * chunk_size
    with tqdm(
        total=num_chunks * chunk_size, initial=steps, desc="fit", disable=None
    ) as bar:
        while int(carry.chunk) < num_chunks and not bool(carry.done):
            carry = run(carry, int(carry.chunk) + CHUNKS)
            if folder is not None:
                checkpoint.save(folder, carry, step=int(carry.chunk), about=about)
            bar.update(int(carry.chunk) * chunk_size - bar.n)
            bar.set_postfix(epoch=int(carry.epoch), refresh=False)
    return run(carry, None)


def describe(target: Target, key: Key, **options: Any) -> dict[str, str]:
    """Return what a checkpoint is about: model, data, key and options, as text."""
    return fingerprint.about(
        model=target.static.function,
        positive=target.static.positive,
        data=(target.data, target.init),
        key=key,
        **options,
    )
