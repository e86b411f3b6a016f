"""A page for each paper: what it says, what released code does, what is done here, what that means.

python -m dferlib.evidence.dossier          writes results/dossiers/<paper>.md

Everything on a page stands elsewhere as data - the protocol and its reported cells, the CSV of
released code, the stored runs, audit and claims in `results/evidence` - and is put side by side
here. Nothing is written by hand, so a page is never older than the last time it was made.
"""
