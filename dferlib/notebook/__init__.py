"""What a reader of a notebook touches: its parameters, what it shows, and how it is executed.

python -m dferlib.notebook notebooks/stcam.ipynb out/oulu.ipynb -p dataset oulu -p preset smoke
"""
