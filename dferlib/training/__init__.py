"""From a recipe to predictions: tasks, the training loop, checkpoints, initial weights."""
