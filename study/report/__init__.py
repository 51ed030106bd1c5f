"""The report of the study: one page out of the results of its tasks."""
