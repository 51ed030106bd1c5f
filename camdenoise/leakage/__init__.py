"""Test whether a gain in accuracy comes from denoising, or from a label that leaks in the mask.

A mask that is made for a class reveals this class, with or without a pattern. A classifier that is
trained and tested on masked wafers can use that (Jethani et al., AISTATS 2023, arXiv:2302.12893;
Rong et al., ICML 2022, arXiv:2202.00449). So a gain is compared with the gains of masks that are
made with less information.
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
