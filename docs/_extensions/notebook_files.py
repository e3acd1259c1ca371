"""Give each lecture page a Jupyter notebook to download, and a line that says so.

The pages are MyST Markdown, which reads and compares well; the notebooks are made from
them at each build, in `docs/_notebooks/` (which git ignores), and go into the site.
"""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parents[1]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
HOST = "https://colab.research.google.com/github"


def parse_cells(text: str) -> list[tuple[str, str, tuple[str, ...]]]:
    r"""Return (kind, source, tags) of a page's cells; kind is "markdown" or "code".

    Example:
        >>> page = "# Title\\n\\n```{code-cell}\\n:tags: [solution]\\n1 + 1\\n```\\n"
        >>> parse_cells(page)
        [('markdown', '# Title', ()), ('code', '1 + 1', ('solution',))]
    """
    text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
    found: list[tuple[str, str, tuple[str, ...]]] = []
    end = 0
    for cell in CELL.finditer(text):
        found.append(("markdown", text[end : cell.start()].strip(), ()))
        lines, tags = cell.group(1).splitlines(), ()
        while lines and lines[0].startswith(":"):
            option = lines.pop(0)
            if option.startswith(":tags:"):
                inside = option.removeprefix(":tags:").strip(" []")
                tags = tuple(tag.strip() for tag in inside.split(","))
        found.append(("code", "\n".join(lines).strip("\n"), tags))
        end = cell.end()
    found.append(("markdown", text[end:].strip(), ()))
    return [cell for cell in found if cell[1]]


def notebook(text: str, repository: str | None = None) -> dict[str, Any]:
    """Return a page as a notebook in Jupyter's format 4.

    Args:
        text: of the page.
        repository: where a hosted service, which has no vijax, installs it from.
    """
    cells = []
    parts = parse_cells(text)
    if repository:
        source = f"git+https://github.com/{repository}"
        wanted = f'"vijax-inference[data,plot] @ {source}"'
        install = f"# Where vijax is not installed:\n# %pip install {wanted}"
        parts.insert(1, ("code", install, ()))
    for kind, source, tags in parts:
        cell: dict[str, Any] = {
            "cell_type": kind,
            "id": f"cell-{len(cells)}",
            "metadata": {"tags": list(tags)} if tags else {},
            "source": _plain(source) if kind == "markdown" else source,
        }
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _plain(text: str) -> str:
    """Return Markdown without what only the site understands."""
    text = re.sub(r"^:::+.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"\(([\w./-]+)\.md(#[\w-]+)?\)", r"(\1)", text)


def _write(app: "Sphinx") -> None:
    folder = HERE / "_notebooks" / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    for page in sorted((HERE / "lecture").glob("[0-9]*.md")):
        path = folder / f"{page.stem}.ipynb"
        made = notebook(page.read_text(), os.environ.get("GITHUB_REPOSITORY"))
        text = json.dumps(made, indent=1, ensure_ascii=False)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


def _add_links(app: "Sphinx", docname: str, source: list[str]) -> None:
    if not re.match(r"lecture/\d", docname):
        return
    name = docname.removeprefix("lecture/") + ".ipynb"
    links = [f'<a href="../notebooks/{name}" download>Download this notebook</a>']
    # The service opens notebooks of a repository's branch; the workflow that publishes
    # the site leaves them on that branch and knows the repository.
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        address = f"{HOST}/{repository}/blob/gh-pages/notebooks/{name}"
        links.append(f'<a href="{address}">Open it in Colab</a>')
    line = f'\n<p class="notebook-links">{" · ".join(links)}</p>\n'
    source[0] = re.sub(
        r"^(# .*\n)",
        lambda found: found.group(1) + line,
        source[0],
        count=1,
        flags=re.M,
    )


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx."""
    # Before Sphinx looks whether the folders exist that the site is to have.
    (HERE / "_notebooks").mkdir(exist_ok=True)
    app.connect("builder-inited", _write)
    app.connect("source-read", _add_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
