"""Names that scikit-learn does not promise to keep, in one place.

Its estimators declare their parameters by these since version 1.2, and scikit-learn's own developer
guide tells how; there is no public name for them yet.
"""

from sklearn.utils._param_validation import HasMethods, Interval, Options, StrOptions

__all__ = ["HasMethods", "Interval", "Options", "StrOptions"]
