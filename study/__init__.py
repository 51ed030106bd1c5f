"""The study: compare nets and denoisers, and accuracy before and after denoising.

``python -m study`` runs a profile from ``profiles/`` as a graph of small tasks and writes one
report. ``python -m study evaluate`` measures a saved model, ``python -m study bundle`` trains the
model of the package. The library does not know of it.
"""
