"""How Sphinx builds the pages: `make docs`, offline, with warnings as errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert

import fastautorec

project = "fastautorec"
version = release = fastautorec.__version__
copyright = "its authors; licensed under Apache-2.0"
DOCS = Path(__file__).resolve().parent
INCLUDED = {"ARCHITECTURE": "design", "CHANGELOG": "changelog", "CONTRIBUTING": "contributing", "SECURITY": "security"}
OUTWARDS = re.compile(r"\[([^\]]+)\]\((\.\./[^)#\s]+)\)")

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser"]
exclude_patterns = ["_*"]
templates_path = ["_templates"]
default_role = "py:obj"
autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections tell the types
html_math_renderer = "mathml"
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "pydata_sphinx_theme"
html_title = f"fastautorec {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_context = {"default_mode": "auto"}
html_sidebars = {"**": ["pages.html"]}
html_theme_options = {
    "navbar_center": [],
    "secondary_sidebar_items": ["page-toc"],
    "footer_end": [],
}


def show_formula(translator: Any, node: Any) -> None:
    """Write a formula as MathML, which browsers draw without a script."""
    inline = isinstance(node, nodes.math)
    markup = convert(node.astext(), display="inline" if inline else "block")
    translator.body.append(markup if inline else f'<div class="formula">{markup}</div>')
    raise nodes.SkipNode


def link_to_pages(app: Any, name: str, source: list[str]) -> None:
    """Let links to texts beside `docs/` lead to the pages that include them; links to sources are text on the site."""

    def on_the_site(link: re.Match[str]) -> str:
        target = (DOCS / name).parent.joinpath(link[2]).resolve()
        if target.is_relative_to(DOCS):
            return link[0]
        up = "../" * name.count("/")
        return f"[{link[1]}]({up}{INCLUDED[target.stem]}.md)" if target.stem in INCLUDED else link[1]

    source[0] = OUTWARDS.sub(on_the_site, source[0])


def unlink_metrics(app: Any, document: Any) -> None:
    """Turn back into text what docutils takes for mail to a host without a dot: Recall@20 and its like."""
    for link in list(document.findall(nodes.reference)):
        if re.fullmatch(r"mailto:[^@]+@[^.]+", link.get("refuri", "")):
            link.replace_self(nodes.Text(link.astext()))


def setup(app: Any) -> None:
    app.connect("doctree-read", unlink_metrics)
    app.connect("source-read", link_to_pages)
    app.add_html_math_renderer("mathml", (show_formula, None), (show_formula, None))
