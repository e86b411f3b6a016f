"""The course: lessons' faces, exercises that check an answer, and editions for both sides.

`check.check` is what a lesson calls; `faces` makes what it shows; `python -m dferlib.teaching
build` writes the students' and the teachers' edition of `notebooks/course`.
"""
