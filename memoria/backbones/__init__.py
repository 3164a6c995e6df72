"""What turns texts, images and arrays into vectors. Importing it loads no torch and no model."""

from memoria.backbones.base import Backbone, BackboneBase, Batch, OptionValue, Vectors, WordTable
from memoria.backbones.registry import (
    check_backbone,
    default_backbone,
    known_backbones,
    load_backbone,
    speed_options,
    split_name,
)

__all__ = [
    "Backbone",
    "BackboneBase",
    "Batch",
    "OptionValue",
    "Vectors",
    "WordTable",
    "check_backbone",
    "default_backbone",
    "known_backbones",
    "load_backbone",
    "speed_options",
    "split_name",
]
