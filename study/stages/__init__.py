"""The tasks of the study: each function writes its results into the folder of a task."""
