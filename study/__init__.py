"""The study: compare backbones and denoisers, and accuracy before and after denoising.

``python -m study`` runs a profile from ``profiles/`` as a graph of small tasks, each kept on disk,
and writes one report. The library does not know of it.
"""
