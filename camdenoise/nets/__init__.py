"""Nets on wafer maps and how they are trained: torch, no estimator."""
