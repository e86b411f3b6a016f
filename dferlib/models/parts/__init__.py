"""Blocks that several models share; a file here is no model."""
