"""Many trainings at once: on all cores of this machine, on its GPUs, or on a cluster.

    python -m dferlib.sweep --papers stcam,hacn --preset quick --seeds 0,1 --plan
    python -m dferlib.sweep --papers stcam,hacn --preset quick --seeds 0,1 --workers 2

Every fold, seed, row, dataset and paper is a training of its own, which no other one waits for.
They lie where the notebooks look for them, under the same run ids, so that a notebook that is run
afterwards reads them. Dask distributed brings them to the workers; see `dferlib.sweep.clusters`.
"""
