"""How each form of text becomes sections with context, time and meta; a file a form.

`table` knows which form a file has. A form knows nothing of units, memories and stores.
"""
