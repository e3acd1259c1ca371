"""The documentation: names that exist, an API that is whole, solutions that run."""

import importlib
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted(
    path
    for path in DOCS.rglob("*.md")
    if not {"api", "_notebooks"} & set(path.relative_to(DOCS).parts)
)
# What a room's files share: no user calls it.
INTERNAL = {"vijax.bayes.numerics", "vijax.bayes.validation", "vijax.vi.engine"}
# By what a cell of code says: exercises that train networks.
SLOW = ("training.fit",)


def _extension(name: str) -> ModuleType:
    """Import a part of the site's machinery, which needs no Sphinx for this."""
    folder = str(DOCS / "_extensions")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def _text(page: Path) -> str:
    """Return a page's text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def _solutions() -> list[object]:
    found = []
    for page in PAGES:
        cells = _extension("notebook_files").parse_cells(page.read_text())
        sources = [source for _, source, tags in cells if "solution" in tags]
        for number, source in enumerate(sources, 1):
            slow = [pytest.mark.slow] if any(word in source for word in SLOW) else []
            name = f"{page.relative_to(DOCS)}, exercise {number}"
            found.append(pytest.param(source, id=name, marks=slow))
    return found


def test_there_are_pages_and_solutions():
    assert len(PAGES) > 25
    assert len(_solutions()) >= 15


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_names_in_the_text_exist(page):
    code_links = _extension("code_links")
    literals = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", _text(page))
    names = [code_links.dotted_name(literal) for literal in literals]
    for name in filter(None, names):
        code_links.resolve(name)


def test_a_name_that_does_not_exist_is_found():
    code_links = _extension("code_links")
    with pytest.raises(AttributeError, match=r"vijax\.vi\.fitt"):
        code_links.resolve(code_links.dotted_name("vi.fitt(target, key)"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_pages_that_are_linked_exist(page):
    for target in re.findall(r"\]\(([^)#:\s]+\.md)(?:#[\w-]*)?\)", _text(page)):
        assert (page.parent / target).exists(), target


def test_files_that_the_readme_links_exist():
    text = (DOCS.parent / "README.md").read_text()
    # What begins with ../../ is of the hosting service: actions and their badges.
    targets = re.findall(r"\]\((?!\.\./|https?:)([^)#\s]+)\)", text)
    assert len(targets) > 15
    for target in targets:
        assert (DOCS.parent / target).exists(), target


def test_folders_of_the_site_are_there_before_sphinx_looks(monkeypatch, tmp_path):
    """In a clean checkout a folder that is missing is a warning, hence an error."""
    notebook_files = _extension("notebook_files")
    monkeypatch.setattr(notebook_files, "HERE", tmp_path)
    notebook_files.setup(SimpleNamespace(connect=lambda *_: None))
    assert (tmp_path / "_notebooks").is_dir()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_pages_with_figures_can_show_them(page):
    cells = _extension("notebook_files").parse_cells(page.read_text())
    sources = [source for kind, source, _ in cells if kind == "code"]
    if any("plot." in source for source in sources):
        # Figures are made without pyplot, so that a notebook has to be told of them.
        assert sources[0].startswith("%matplotlib inline\n")


def test_every_public_name_has_an_entry():
    api_pages = _extension("api_pages")
    documented = api_pages.documented()
    for room in _rooms():
        for name, value in api_pages.entries(room):
            assert id(value) in documented, f"{room}.{name} is on no API page"


def _rooms() -> list[str]:
    """Return every folder of the package that has public names."""
    package = DOCS.parent / "vijax"
    found = []
    for path in sorted(package.rglob("__init__.py")):
        parts = path.parent.relative_to(package.parent).parts
        module = importlib.import_module(".".join(parts))
        if hasattr(module, "__all__"):
            found.append(module.__name__)
    assert set(found) >= INTERNAL
    return [room for room in found if room not in INTERNAL]


def test_a_page_becomes_a_notebook():
    notebook = _extension("notebook_files").notebook(
        "---\nfile_format: mystnb\n---\n# Title\n\n```{code-cell}\n1 + 1\n```\n"
    )
    kinds = [(cell["cell_type"], cell["source"]) for cell in notebook["cells"]]
    assert kinds == [("markdown", "# Title"), ("code", "1 + 1")]


def test_a_notebook_for_a_hosted_service_says_how_to_install():
    page = "# Title\n\n```{code-cell}\n1 + 1\n```\n"
    cells = _extension("notebook_files").notebook(page, "who/what")["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "code", "code"]
    assert "git+https://github.com/who/what" in cells[1]["source"]


def test_docstrings_become_markup_that_nothing_is_mistaken_in():
    to_markup = _extension("docstrings").to_markup
    text = to_markup(["Return |x| * `y`, x_ and 2 * z.", "", "Args:", "    y: a_b."])
    assert text[1] == r"Return \|x\| \* ``y``, x\_ and 2 \* z."
    assert text[-4:-2] == ["``y``", r"    a\_b."]


@pytest.mark.thorough
@pytest.mark.parametrize("source", _solutions())
def test_solution_runs(source):
    assert "assert" in source
    exec(compile(source, "<solution>", "exec"), {"__name__": "__main__"})


def test_pages_are_run_beforehand_and_compiled_lightly_unless_they_read_a_clock(
    monkeypatch,
):
    execution = _extension("page_execution")
    usual = "--xla_cpu_enable_fast_math=false"
    monkeypatch.setenv("XLA_FLAGS", usual)
    found = execution.environment()
    flags = found.pop("XLA_FLAGS").split()
    assert flags[0] == usual
    assert flags[1:]  # on any version there are some
    assert set(flags[1:]) <= set(execution.FLAGS)
    assert found == execution.CACHE
    texts = {page.stem: page.read_text() for page in PAGES}
    first = execution.run_first(texts)
    timed = {page for page, text in texts.items() if execution.CLOCK in text}
    assert timed
    assert timed.isdisjoint(first)
    assert first[0] == "counting"
    assert "first-fit" in first
    assert "install" not in first  # it has no code cells
