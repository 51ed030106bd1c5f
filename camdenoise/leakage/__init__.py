"""Whether a gain in accuracy after denoising is denoising, or a label that leaks through the mask.

A mask made for a class tells which class it was made for, whether or not there is a pattern. A
classifier that is trained and tested on masked wafers can read that (Jethani et al., AISTATS 2023,
arXiv:2302.12893; Rong et al., ICML 2022, arXiv:2202.00449). So no gain counts before it is seen
beside those of masks that know less.
"""

from camdenoise.leakage._controls import BLIND, CONTROLS, Control
from camdenoise.leakage._cross_fit import CrossFit
from camdenoise.leakage._masks import marked_map
from camdenoise.leakage._report import LeakageReport, leakage_report
from camdenoise.leakage._summary import DENOISED, RAW, leakage_summary

__all__ = [
    "BLIND",
    "CONTROLS",
    "DENOISED",
    "RAW",
    "Control",
    "CrossFit",
    "LeakageReport",
    "leakage_report",
    "leakage_summary",
    "marked_map",
]
