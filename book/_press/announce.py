"""Sphinx extension: every page of a rehearsal says that it is one."""

from sphinx.application import Sphinx
from sphinx.config import Config

from cgnlib import rehearsal

WORDS = "Rehearsal: every run was cut to a few steps and images. No number here is a result."


def say(app: Sphinx, config: Config) -> None:
    """Put a banner over the pages."""
    if rehearsal.under_way():
        config.html_theme_options = config.html_theme_options | {"announcement": WORDS}


def setup(app: Sphinx) -> dict:
    """Called by Sphinx."""
    app.connect("config-inited", say)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
