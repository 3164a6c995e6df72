"""How long and how well a memory that goes on reading remembers, against memories of equal size."""
