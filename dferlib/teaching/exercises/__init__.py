"""The exercises, one file for each lesson and paper; each defines EXERCISES.

Values are worked out by the package where it can, so that they follow it when it changes.
"""
