"""What people leave in other programs, read as texts for a memory: Chroma, mem0, ChatGPT, Claude.

Everything here comes from elsewhere and may be anything: it is read with bounds, and nothing in it
is run. None of those programs is needed.
"""
