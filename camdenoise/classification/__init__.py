"""The classifier of wafer maps."""
