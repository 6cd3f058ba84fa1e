"""`muduo report`: finished and running trainings as one self-contained HTML page."""
