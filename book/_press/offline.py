"""Sphinx extension: the built book needs no network.

MathJax comes from the installed package sphinx-mathjax-offline.  Its own extension puts all
24 MB under _static; this one copies the 2 MB that pages can ask for.  Thebe, which Jupyter Book
puts on each page even where it is off, would fetch a script from a CDN; it is taken out.  So are
two things about icons, since the style sheet of their font shows all of them: the early loads of
fonts, which a browser refuses to a page on disk, with an error for each, and 1.5 MB of script that
would draw the same icons once more.
"""

import re
from importlib.metadata import distribution
from pathlib import Path
from shutil import copytree

from sphinx.application import Sphinx

MATHJAX = "_vendor/mathjax"
BUNDLE = "tex-mml-chtml.js"  # TeX and MathML in, HTML with web fonts out
ICONS = re.compile(
    r'<link rel="preload" as="font"[^>]*>\s*'
    r"|<script [^>]*vendor/fontawesome/[^>]*></script>\s*"
)
LATER = ["output/chtml/fonts", "input/tex/extensions"]  # what the bundle loads when it needs it


def copy_mathjax(app: Sphinx) -> None:
    """Put MathJax beside the pages before they are written, so that Sphinx can stamp it."""
    if app.builder.format != "html":
        return
    package = Path(distribution("sphinx-mathjax-offline").locate_file("sphinx-mathjax-offline"))
    source, target = package / "static/mathjax", Path(app.outdir) / MATHJAX
    for folder in LATER:
        copytree(source / folder, target / folder, dirs_exist_ok=True)
    (target / BUNDLE).write_bytes((source / BUNDLE).read_bytes())


def drop_scripts(app: Sphinx, page: str, template: str, context: dict, doctree: object) -> None:
    """Leave out Thebe, its loader and the constants that it reads; and MathJax on a page without a
    formula of its own, such as the first, for which Sphinx asks the chapters as well."""
    unused = ["thebe"]
    if app.builder.name == "html" and not app.env.domaindata["math"]["has_equations"].get(page):
        unused.append("mathjax")

    def is_unused(script: object) -> bool:
        name = getattr(script, "filename", None) or script
        said = f"{name} {getattr(script, 'attributes', {})}".lower()
        return any(word in said for word in unused)

    for kind in ("script_files", "css_files"):
        context[kind] = [entry for entry in context.get(kind, []) if not is_unused(entry)]


def drop_icons(app: Sphinx, failure: Exception | None) -> None:
    """Take what loads icons twice out of the finished pages; the theme knows no switch.  What is
    left are letters of a font, which a screen reader should not try to read."""
    if failure or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text("utf-8")
        left = ICONS.sub("", text).replace('<i class="fa', '<i aria-hidden="true" class="fa')
        if left != text:
            page.write_text(left, "utf-8")


def setup(app: Sphinx) -> dict:
    """Called by Sphinx; the path of MathJax is relative to _static, so it fits every page."""
    app.config.mathjax_path = f"../{MATHJAX}/{BUNDLE}"
    app.connect("builder-inited", copy_mathjax)
    app.connect("html-page-context", drop_scripts, priority=900)
    app.connect("build-finished", drop_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
