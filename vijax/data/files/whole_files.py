"""Files that are there whole or not at all: written beside their place, then moved."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Yield a path beside the file that takes its place when all is written.

    Raises:
        OSError: the file cannot be written; what was there before is intact.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with replaced(path) as new:
        ...     _ = new.write_text("whole")
        >>> path.read_text(), [file.name for file in path.parent.iterdir()]
        ('whole', ['a.txt'])
    """
    # The suffix stays: some libraries write what it says.
    new = path.with_name(f".{path.stem}.{os.getpid()}.unfinished{path.suffix}")
    try:
        yield new
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
