from memoria.compat.abstractor import *  # noqa: F403  (the name that memoria-pytorch has)
