"""The modules of `memoria-pytorch` by their names there, so that code written for it imports here.

`memoria.engram`, `memoria.history_manager` and the others forward to the modules of this room. Most
hold nothing but names; `sparse_tensor` and `utils` are here alone.
"""
