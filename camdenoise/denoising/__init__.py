"""Denoisers that a classifier explains."""
