"""Looking over a dataset before anything is trained on it."""
