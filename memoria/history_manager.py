from memoria.compat.history_manager import *  # noqa: F403  (the name that memoria-pytorch has)
