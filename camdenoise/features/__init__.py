"""Hand-made features of wafer maps, for the classifiers of scikit-learn that take tables."""

from camdenoise.features._wafer_features import WaferFeatures

__all__ = ["WaferFeatures"]
