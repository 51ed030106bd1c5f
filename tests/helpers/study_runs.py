"""Runs of the study, from the plan to the page, and the tables that they leave behind."""

import pandas as pd

from study import plan
from study.graph import run_all
from study.report.page import write_report


def run_study(profile, out, data=None, *, name="quick"):
    """Run all stages of a profile; return the tasks, their folders and the page."""
    tasks = plan.make_plan(profile, data)
    folders = run_all(tasks, out / "parts")
    return tasks, folders, write_report(out, tasks, folders, profile=name, data=data)


def table(finished, name):
    return pd.read_csv(finished[1].parent / "tables" / f"{name}.csv")
