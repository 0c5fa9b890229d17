"""The documentation as a site: make docs"""

from __future__ import annotations

import noisesearch

project = "noisesearch"
author = "The noisesearch authors"
copyright = author
release = version = noisesearch.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc"]
html_theme = "furo"
html_title = "noisesearch"
html_show_sphinx = False
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": True}
