"""The documentation site: `sphinx-build -W docs site`. It needs no network, to build or to read."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "extensions")]

from memoria import __version__  # noqa: E402

project = "Memoria"
author = "The Memoria developers"
copyright = "The Memoria developers, MIT licence"
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.intersphinx",
    "verb_pages",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["inventories", "extensions"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
smartquotes = False  # options begin with two hyphens
suppress_warnings = ["myst.xref_missing"]

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes of a class as one list
# What these link to is kept here, so that a build asks nobody.
intersphinx_mapping = {
    name: (url, str(HERE / "inventories" / f"{name}.inv"))
    for name, url in {
        "python": "https://docs.python.org/3",
        "numpy": "https://numpy.org/doc/stable",
        "torch": "https://docs.pytorch.org/docs/stable",
    }.items()
}

html_theme = "pydata_sphinx_theme"
html_title = "Memoria"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navigation_with_keys": True,
    "show_prev_next": True,
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "back_to_top_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
