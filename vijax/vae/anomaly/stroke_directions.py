r"""Images as the directions of their edges: where strokes and seams run, and how.

At each pixel the gradient has a size and a direction. Sizes are added up by place and
direction: on a grid of 7 × 7 places, each of which shares a gradient with the ones
beside it, in 12 directions around the circle, likewise (a hat of one step either way).
Of these sums the square root is taken, which keeps one strong edge from being all.

Two digits of the same shape, one a pixel to the left, hardly share a pixel; their edges
run the same way. A stroke that is missing changes few pixels and a whole place.

References:
    Dalal & Triggs (2005), Histograms of oriented gradients for human detection, CVPR.
"""

import numpy as np
from jaxtyping import Float

PLACES = 7  # along each side
DIRECTIONS = 12
BATCH = 512  # images at once; memory only


def directions(images: np.ndarray) -> Float[np.ndarray, "images features"]:
    """Return the square roots of the gradients' sums by place and direction.

    Args:
        images: (n, height, width), or with colours last, whose gradients all count.

    Example:
        >>> edge = np.zeros((1, 14, 14))
        >>> edge[:, :, 7:] = 1.0  # it grows to the right
        >>> found = directions(edge).reshape(7, 7, 12)
        >>> [int(i) for i in np.flatnonzero(found.sum(axis=(0, 1)))]  # of 12 directions
        [0]
    """
    images = np.asarray(images, np.float32)
    if images.ndim == 3:
        images = images[..., None]
    parts = [_directions(images[i : i + BATCH]) for i in range(0, len(images), BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, PLACES**2 * DIRECTIONS))


def _directions(images: np.ndarray) -> np.ndarray:
    down, right = (_differences(images, axis) for axis in (1, 2))
    size = np.hypot(down, right).ravel()
    step = np.arctan2(down, right).ravel() * np.float32(DIRECTIONS / (2 * np.pi))
    below = np.floor(step)
    above = size * (step - below)  # the part that the next direction has
    gradients = np.zeros((len(size), DIRECTIONS), np.float32)
    pixels, below = np.arange(len(size)), below.astype(int)
    gradients[pixels, below % DIRECTIONS] = size - above
    gradients[pixels, (below + 1) % DIRECTIONS] = above
    every = gradients.reshape(*images.shape, DIRECTIONS).sum(axis=3)  # all colours
    rows, columns = (_places(pixels) for pixels in images.shape[1:3])
    sums = np.einsum("pi,nijd,qj->npqd", rows, every, columns, optimize=True)
    return np.sqrt(sums).reshape(len(images), -1)


def _differences(images: np.ndarray, axis: int) -> np.ndarray:
    """Return half of the next pixel minus the one before; the image goes on beyond."""
    widths = [(1, 1) if i == axis else (0, 0) for i in range(4)]
    padded = np.pad(images, widths, mode="edge")
    inside = np.arange(1, images.shape[axis] + 1)
    return 0.5 * (padded.take(inside + 1, axis) - padded.take(inside - 1, axis))


def _places(pixels: int) -> Float[np.ndarray, "places pixels"]:
    """Return each pixel's weights in the places of a row, hats that overlap by half."""
    width = pixels / PLACES
    centres = (np.arange(PLACES) + 0.5) * width - 0.5
    apart = np.abs(np.arange(pixels) - centres[:, None])
    return np.maximum(1 - apart / max(width, 1.0), 0).astype(np.float32)
