"""Make a link of every code name in the text: `vi.fit` leads to its API entry.

Pages write names as a reader types them, in plain backticks, so that the same text
reads well in a notebook. `resolve` finds what a name stands for; tests use it too.
"""

import importlib
import re
from typing import TYPE_CHECKING, Any

import vijax

if TYPE_CHECKING:
    from docutils import nodes
    from sphinx.application import Sphinx

ROOMS = [name for name in vijax.__all__ if not name.startswith("_")]
HISTORY = ("releases",)  # names of the past are not links
NAME = re.compile(rf"^(?:vijax\.)?((?:{'|'.join(ROOMS)})(?:\.[A-Za-z]\w*)+)(\(.*\))?$")


def dotted_name(text: str) -> str | None:
    """Return the full dotted name that a piece of code text stands for, or None.

    Example:
        >>> dotted_name("vi.fit(target, key)"), dotted_name("fit.verdict")
        ('vijax.vi.fit', None)
    """
    found = NAME.match(text)
    return f"vijax.{found.group(1)}" if found else None


def resolve(name: str) -> Any:
    """Return the object of a dotted name.

    Raises:
        AttributeError: there is none.
    """
    parts = name.split(".")
    found: Any = importlib.import_module(parts[0])
    for number, part in enumerate(parts[1:], 2):
        try:
            found = getattr(found, part)
        except AttributeError:
            try:
                found = importlib.import_module(".".join(parts[:number]))
            except ImportError:
                raise AttributeError(f"there is no {name}") from None
    return found


def _link(app: "Sphinx", doctree: "nodes.document", docname: str) -> None:
    from api_pages import documented
    from docutils import nodes

    if docname in HISTORY:
        return
    entries = app.env.domains["py"].objects
    names = documented()
    for literal in list(doctree.findall(nodes.literal)):
        name = dotted_name(literal.astext())
        if name is None or isinstance(literal.parent, nodes.reference):
            continue
        found = resolve(name)  # a name that does not exist stops the build
        entry = entries.get(names.get(id(found), getattr(found, "__name__", name)))
        if entry is None:
            continue
        uri = app.builder.get_relative_uri(docname, entry.docname)
        link = nodes.reference(
            "", "", internal=True, refuri=f"{uri}#{entry.node_id}", reftitle=name
        )
        literal.replace_self(link)
        link += literal


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
