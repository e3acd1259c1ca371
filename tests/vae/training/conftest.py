"""One small VAE and its trainings, shared so that little is compiled twice."""

import numpy as np
import pytest

from vijax import data
from vijax.vae import models


@pytest.fixture(scope="session")
def digits() -> np.ndarray:
    return data.load("digits").train


@pytest.fixture(scope="session")
def small_vae() -> models.VAE:
    return models.vae((8, 8), hidden=(16,))
