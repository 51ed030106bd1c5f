"""How the documentation is built: ``sphinx-build -W docs docs/_build``."""

import camdenoise

project = "camdenoise"
author = copyright = "The camdenoise developers"
version = release = camdenoise.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "examples", "sg_execution_times.rst"]
html_theme = "pydata_sphinx_theme"
html_title = "camdenoise"
html_theme_options = {"show_prev_next": False, "navigation_with_keys": False}

autosummary_generate = True
numpydoc_show_class_members = True
numpydoc_class_members_toctree = False
# skorch and scikit-learn have docstrings of their own style.
numpydoc_show_inherited_class_members = False

myst_heading_anchors = 4
# Files of the checkout that are not pages (the model's card, the study's results), and a section of
# scikit-learn's guide that the inherited `score` refers to.
suppress_warnings = ["myst.xref_missing", "ref.ref"]

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "download_all_examples": False,
    "within_subsection_order": "FileNameSortKey",
    "min_reported_time": 60,
}
