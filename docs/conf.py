"""Sphinx: how the pages in this folder become the site (`make docs`)."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]

import vijax  # noqa: E402

project = "vijax"
author = "The vijax developers"
copyright = "2026, the vijax developers; Apache 2.0"
version = release = vijax.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_copybutton",
    "bundled_mathjax",
    "api_pages",
    "code_links",
    "docstrings",
    "page_execution",
    "notebook_files",
]
exclude_patterns = ["_extensions", "_notebooks", "README.md"]
nitpicky = False
show_warning_types = True

# Every code cell runs when the site is built, unless its outputs are in the cache.
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "build" / "docs" / "cells")
nb_execution_timeout = 240
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["PYTHONWARNINGS"] = "ignore:IProgress not found"  # tqdm's, in a kernel

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False

html_theme = "sphinx_book_theme"
html_title = f"vijax {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_extra_path = ["_notebooks"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "use_download_button": False,
    "use_fullscreen_button": False,
    "navigation_with_keys": False,
    "navbar_persistent": [],
    "collapse_navbar": True,  # the other sections' pages, on each page, took 36 s
    "pygments_light_style": "default",
    "pygments_dark_style": "github-dark",
}
if repository := os.environ.get("GITHUB_REPOSITORY"):
    html_theme_options |= {
        "repository_url": f"https://github.com/{repository}",
        "use_repository_button": True,
        "use_issues_button": True,
    }
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
