from memoria.compat.utils import *  # noqa: F403  (the name that memoria-pytorch has)
