"""Hostile input, made from a seed: what is changed, what is run on it, and what must hold.

``python -m fuzzing stores --seed 1 --cases 200`` (in ``tests/tools/``) runs cases of one kind in
this process; ``--only N`` runs one again. `guarded.run` does it in a process of its own, bounded.
"""
