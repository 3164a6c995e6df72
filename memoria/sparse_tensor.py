from memoria.compat.sparse_tensor import *  # noqa: F403  (the name that memoria-pytorch has)
