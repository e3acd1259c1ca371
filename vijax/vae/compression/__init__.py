"""Compression: files of images and tables, and what rounded latents cost and lose.

    file_format   bytes that decode to images exactly, or to tables within a bound
    image_files   such a file of images beside its bound and general compressors
    table_files   such a file of events, its coder's training, what the errors do
    rate_curves   rate against distortion of rounded latents and of PCA
    lossy         rate and distortion of rounded latents
    baselines     to hold them against: PCA, gzip, bz2 and xz
    latent_grids  latents rounded to a grid of whole numbers
    bits_back     the coder behind the files: bits-back coding on a stack of bits

`file_format` is what a user calls. A lossless file takes about -ELBO / ln 2 bits
(`evaluation.held_out_elbo`), and the receiver needs the model as well.
"""

from vijax.vae.compression.baselines import (
    PrincipalComponents,
    general_purpose_bits,
    principal_components,
)
from vijax.vae.compression.file_format import (
    decode_images,
    decode_table,
    encode_images,
    encode_table,
)
from vijax.vae.compression.image_files import (
    ImageFileCost,
    measure_image_file,
    other_image_rates,
    packed_image_rates,
    png_of_images,
    rates_of_first_images,
    sheet_of_images,
)
from vijax.vae.compression.latent_grids import Grid, dequantise, quantise, uniform_grid
from vijax.vae.compression.lossy import (
    RateDistortion,
    bits_per_pixel,
    code_length,
    parameter_bits,
    peak_signal_to_noise,
    rate_distortion,
    symbol_concentration,
)
from vijax.vae.compression.rate_curves import (
    Saving,
    autoencoder_curves,
    best_saving,
    decoder_bits,
    pareto_front,
    pca_bits,
    pca_curves,
)
from vijax.vae.compression.table_files import (
    TableCoder,
    TableCoderSettings,
    TableFileCost,
    columns_code_length,
    fit_table_coder,
    measure_table_file,
    quantity_errors,
)

__all__ = [
    "Grid",
    "ImageFileCost",
    "PrincipalComponents",
    "RateDistortion",
    "Saving",
    "TableCoder",
    "TableCoderSettings",
    "TableFileCost",
    "autoencoder_curves",
    "best_saving",
    "bits_per_pixel",
    "code_length",
    "columns_code_length",
    "decode_images",
    "decode_table",
    "decoder_bits",
    "dequantise",
    "encode_images",
    "encode_table",
    "fit_table_coder",
    "general_purpose_bits",
    "measure_image_file",
    "measure_table_file",
    "other_image_rates",
    "packed_image_rates",
    "parameter_bits",
    "pareto_front",
    "pca_bits",
    "pca_curves",
    "peak_signal_to_noise",
    "png_of_images",
    "principal_components",
    "quantise",
    "quantity_errors",
    "rate_distortion",
    "rates_of_first_images",
    "sheet_of_images",
    "symbol_concentration",
    "uniform_grid",
]


def __dir__() -> list[str]:
    return sorted(__all__)
