"""Procedural clips in place of datasets that only licence holders have."""
