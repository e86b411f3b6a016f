"""The settings of one training."""

from dferlib.protocols.paper import Protocol as Recipe
from dferlib.protocols.paper import protocol_dataclass as recipe_dataclass

__all__ = ["Recipe", "recipe_dataclass"]
