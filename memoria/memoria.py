from memoria.compat.memoria import *  # noqa: F403  (the name that memoria-pytorch has)
