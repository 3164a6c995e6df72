from memoria.compat.types import *  # noqa: F403  (the name that memoria-pytorch has)
