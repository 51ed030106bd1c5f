"""Nets on wafer maps and how they are trained: torch, no estimator."""

from camdenoise.nets._backbones import make_backbone

__all__ = ["make_backbone"]
