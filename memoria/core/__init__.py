"""The algorithm in tensors: state, recall, connections. Knows nothing of files."""
