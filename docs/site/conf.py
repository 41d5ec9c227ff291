"""Settings of Sphinx for the documentation, which `scripts/make_site.py` builds.

Nothing is fetched, neither while the pages are made nor while they are read: formulas become MathML, which browsers
draw themselves, and the theme has no fonts of others.
"""

from __future__ import annotations

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

from pinnsolve.version import version as current_version

project = "pinnsolve"
author = "The pinnsolve authors"
project_copyright = author
version = release = current_version()

extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4  # `#the-slug-of-a-heading`, as in the files of the repository
suppress_warnings = ["misc.highlighting_failure"]  # examples of files that are wrong on purpose

nb_execution_mode = "cache"  # a notebook is run again when its code has changed
nb_execution_raise_on_error = True
nb_execution_timeout = 120  # seconds for a cell
nb_merge_streams = True

html_theme = "furo"
html_title = "pinnsolve"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {"navigation_with_keys": True, "top_of_page_buttons": []}
pygments_style = "friendly"


def _formula(self, node: nodes.Element, display: str) -> None:
    """A formula as MathML; one that holds unknown commands, or cannot be read, is a warning, which ends the build."""
    try:
        drawn = convert(node.astext(), display=display)
        wrong = "it has commands that are not known" if "\\" in drawn else ""
    except Exception as error:  # whatever it stumbles over, the page and the formula have to be named
        drawn, wrong = "", f"{type(error).__name__}: {error}"
    if wrong:
        text = f"the formula {node.astext()!r} cannot be read: {wrong}"
        logging.getLogger(__name__).warning(text, location=node)
    self.body.append(drawn)
    raise nodes.SkipNode


def _inline(self, node: nodes.Element) -> None:
    _formula(self, node, "inline")


def _block(self, node: nodes.Element) -> None:
    _formula(self, node, "block")


def setup(app) -> None:
    """Draw formulas by MathML."""
    app.add_html_math_renderer("mathml", inline_renderers=(_inline, None), block_renderers=(_block, None))


html_math_renderer = "mathml"
