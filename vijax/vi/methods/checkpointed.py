"""A long stochastic fit with a progress bar, and checkpoints on the way.

The chunks are those of a fit without, so that a fit that was killed and resumes ends
with the same bits as one that was not.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from vijax import checkpoint, fingerprint
from vijax.types import Key
from vijax.vi.methods.stochastic_loop import Carry
from vijax.vi.targets.target import Target

CHUNKS = 40  # between two checkpoints: 1000 steps


def run_in_parts(
    step: Callable[[Carry], Carry],
    carry: Carry,
    folder: Path | None,
    about: dict[str, str],
) -> Carry:
    """Take chunks to the end, from the newest checkpoint in `folder` if there is one.

    Args:
        step: a chunk, carry -> carry.
        carry: before the first chunk.
        folder: for checkpoints; None for the progress bar alone.
        about: what must be the same for a fit to go on, as text.

    Raises:
        ValueError: where the folder holds another fit's checkpoint.
        OSError: where it cannot be written.
    """
    if folder is not None and checkpoint.latest(folder) is not None:
        _, carry = checkpoint.restore(folder, carry, about=about)
    num_chunks, chunk_size = carry.losses.shape
    steps = int(carry.chunk) * chunk_size
    with tqdm(
        total=num_chunks * chunk_size, initial=steps, desc="fit", disable=None
    ) as bar:
        while carry.running:
            carry = step(carry)
            done = int(carry.chunk)
            if folder is not None and (done % CHUNKS == 0 or not carry.running):
                checkpoint.save(folder, carry, step=done, about=about)
            bar.set_postfix(epoch=int(carry.epoch), refresh=False)
            bar.update(done * chunk_size - bar.n)
    return carry


def describe(target: Target, key: Key, **options: Any) -> dict[str, str]:
    """Return what a checkpoint is about: model, data, key and options, as text."""
    return fingerprint.about(
        model=target.static.function,
        positive=target.static.positive,
        data=(target.data, target.init),
        key=key,
        **options,
    )
