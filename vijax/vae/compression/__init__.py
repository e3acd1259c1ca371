"""Compression: files of images and tables, and what rounded latents cost and lose.

    file_format   bytes that decode to images exactly, or to tables within a bound
    lossy         rate and distortion of rounded latents, PCA, general compressors
    latent_grids  latents rounded to a grid of whole numbers
    bits_back     the coder behind the files: bits-back coding on a stack of bits

`file_format` is what a user calls. A lossless file takes about -ELBO / ln 2 bits
(`evaluation.held_out_elbo`), and the receiver needs the model as well.
"""

from vijax.vae.compression.file_format import (
    decode_images,
    decode_table,
    encode_images,
    encode_table,
)
from vijax.vae.compression.latent_grids import Grid, dequantise, quantise, uniform_grid
from vijax.vae.compression.lossy import (
    PrincipalComponents,
    RateDistortion,
    bits_per_pixel,
    code_length,
    general_purpose_bits,
    parameter_bits,
    peak_signal_to_noise,
    principal_components,
    rate_distortion,
    symbol_concentration,
)

__all__ = [
    "Grid",
    "PrincipalComponents",
    "RateDistortion",
    "bits_per_pixel",
    "code_length",
    "decode_images",
    "decode_table",
    "dequantise",
    "encode_images",
    "encode_table",
    "general_purpose_bits",
    "parameter_bits",
    "peak_signal_to_noise",
    "principal_components",
    "quantise",
    "rate_distortion",
    "symbol_concentration",
    "uniform_grid",
]


def __dir__() -> list[str]:
    return sorted(__all__)
