"""Reproductions on real data that somebody with a licence hands in: a small file that may be shown.

python -m dferlib.evidence.handed_in pack results-private/stcam/oulu-real-paper out.json
python -m dferlib.evidence.handed_in check out.json
python -m dferlib.evidence.handed_in page           writes results/handed-in/README.md

A file holds accuracies with intervals, confusion matrices, sizes of folds, settings, versions, hash
and counts of the manifest: no clip, no subject, no path, no pixel. Files lie in
`results/handed-in`, and are shown beside the published number, marked as handed in.
"""
