r"""Turn the package's docstrings, which are plain text, into reStructuredText.

They are written to be read in a terminal: `name` in single backticks is code, formulas
are Unicode, an indented block is a table or a formula, and the sections are Google's.
Nothing in them may be taken for markup by chance (KL[q ‖ p], |x|, 2 * log_scale).
"""

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx

SECTIONS = {
    "Args": "Arguments",
    "Returns": "Returns",
    "Raises": "Raises",
    "References": "References",
    "Example": "Example",
    "Note": "Note",
}
CODE = re.compile(r"(``[^`]+``|`[^`]+`)")
ITEM = re.compile(r"^(\*{0,2}\w+(?:, \w+)*): (.*)$", re.DOTALL)
# What only a formula has: it is set apart and not broken.
RELATION = re.compile(r"(^|\s)(=|≈|∝|≤|≥|<=|>=|←|→|~)(\s|$)")
WORDS = re.compile(r"\b[a-z]{4,}\b")


def to_markup(lines: list[str]) -> list[str]:
    r"""Return the lines of a docstring as reStructuredText.

    Example:
        >>> to_markup(["Return |x| of `x`.", "", "Raises:", "    ValueError: NaN."])[0]
        'Return \\|x\\| of ``x``.'
    """
    found: list[str] = []
    for title, block in _sections(lines):
        if title is None:
            found += _body(block)
        elif title == "Example":
            found += ["", ".. rubric:: Example", "", *_example(block)]
        elif title in ("Args", "Raises"):
            found += ["", f".. rubric:: {SECTIONS[title]}", "", *_items(block)]
        else:
            found += ["", f".. rubric:: {SECTIONS[title]}", "", *_body(block)]
    return [*found, ""]


def escaped(text: str) -> str:
    """Return text in which only backticks are markup."""
    parts = CODE.split(text)
    return "".join(
        f"``{part.strip('`')}``"
        if number % 2
        else re.sub(r"([*|_\\])", r"\\\1", part).replace("`", "\\`")
        for number, part in enumerate(parts)
    )


def _sections(lines: list[str]) -> list[tuple[str | None, list[str]]]:
    found: list[tuple[str | None, list[str]]] = [(None, [])]
    for line in lines:
        title = line[:-1] if line.endswith(":") else ""
        if title in SECTIONS:
            found.append((title, []))
        else:
            found[-1][1].append(line)
    return [(title, _dedented(block)) for title, block in found]


def _dedented(block: list[str]) -> list[str]:
    depths = [len(x) - len(x.lstrip()) for x in block if x.strip()]
    depth = min(depths, default=0)
    return [line[depth:] for line in block]


def _paragraphs(block: list[str]) -> list[list[str]]:
    """Split at blank lines, and where the indentation begins or ends."""
    found: list[list[str]] = [[]]
    for line in block:
        if not line.strip():
            found.append([])
            continue
        before = found[-1][-1] if found[-1] else line
        # A hanging second line of a list item belongs to it.
        hanging = line.startswith(" ") and before.startswith("- ")
        if line.startswith(" ") != before.startswith(" ") and not hanging:
            found.append([])
        found[-1].append(line)
    return [paragraph for paragraph in found if paragraph]


def _body(block: list[str]) -> list[str]:
    found: list[str] = []
    for paragraph in _paragraphs(block):
        joined = " ".join(line.strip() for line in paragraph)
        if joined.startswith(">>> "):
            found += ["", *_example(paragraph), ""]
        elif paragraph[0].startswith(" ") or joined.startswith("|"):
            found += ["", *_verbatim(_dedented(paragraph)), ""]
        elif _is_formula(joined):
            found += ["", *_verbatim(paragraph), ""]
        else:
            found += ["", *(escaped(line) for line in _safe(paragraph)), ""]
    return found


def _safe(paragraph: list[str]) -> list[str]:
    """Keep a line that begins like a list from being one."""
    return [" ".join(line.strip() for line in paragraph)]


def _is_formula(text: str) -> bool:
    return bool(RELATION.search(text)) and len(WORDS.findall(text)) <= 2


def _verbatim(lines: list[str]) -> list[str]:
    return [
        ".. code-block:: text",
        "   :class: formula",
        "",
        *(f"   {x}" for x in lines),
    ]


def _example(block: list[str]) -> list[str]:
    text = [line for line in block if ">>>" in line]
    if not text:
        return _body(block)
    found: list[str] = []
    code: list[str] = []
    inside = False
    for line in block:
        if line.startswith(">>>"):
            inside = True
        elif not line.strip():
            inside = False
        if inside or (code and not line.strip()):
            code.append(line)
            continue
        if code:
            found += _console(code)
            code = []
        found.append(escaped(line))
    return [*found, *_console(code)]


def _console(code: list[str]) -> list[str]:
    if not code:
        return []
    return ["", ".. code-block:: pycon", "", *(f"   {line}" for line in code), ""]


def _items(block: list[str]) -> list[str]:
    """Return name: text items as a definition list."""
    items: list[list[str]] = []
    for line in block:
        if line and not line.startswith(" "):
            items.append([])
        if items:
            items[-1].append(line)
    found: list[str] = []
    for item in items:
        text = " ".join(line.strip() for line in item if line.strip())
        matched = ITEM.match(text)
        if matched is None:
            found += ["", escaped(text), ""]
        else:
            name, rest = matched.groups()
            found += [f"``{name}``", f"    {escaped(rest)}", ""]
    return found


def _process(
    app: "Sphinx", what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    lines[:] = to_markup(list(lines))


def setup(app: "Sphinx") -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", _process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
