from memoria.compat.engram import *  # noqa: F403  (the name that memoria-pytorch has)
