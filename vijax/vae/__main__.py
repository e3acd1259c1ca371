"""The command line: `python -m vijax.vae`, on files of your own.

    python -m vijax.vae train images.npy model.npz --epochs 50
    python -m vijax.vae report model.npz images.npy report.html
    python -m vijax.vae sample model.npz new.npy --number 100
    python -m vijax.vae compress model.npz images.npy images.vx
    python -m vijax.vae decompress model.npz images.vx back.npy
    python -m vijax.vae detect background.root detector.npz --select "pt > 20"
    python -m vijax.vae score detector.npz events.root scores.csv

Data are a table (.csv, .root, .h5, .parquet, .feather), images (n, height, width) or
with colours (.npy, .npz, .h5), or a folder of images. Bytes are grey levels 0 to 255
and come back as such; other images are in [0, 1], and compressed where they are 0 and
1. The options --columns, --leave-out, --table, --select, --label and --part say what
is read; `detect --categories` which columns of numbers are codes.
"""

import sys
import warnings

from vijax.extras import require
from vijax.vae.command_line.commands import COMMANDS


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def main() -> None:
    """Run a command; bad input ends with one line."""
    tyro = require("tyro", extra="experiments", purpose="python -m vijax.vae")
    try:
        # The options of what is read stand beside the others: --columns.
        config = (tyro.conf.PositionalRequiredArgs, tyro.conf.OmitArgPrefixes)
        options = {"prog": "vijax.vae", "config": config}
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            print(tyro.extras.subcommand_cli_from_dict(COMMANDS, **options))
    except (ValueError, OSError, ImportError) as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("stopped: what was saved is complete") from None


if __name__ == "__main__":
    main()
