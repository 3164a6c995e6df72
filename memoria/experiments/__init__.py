"""The paper's experiments, and rivals in the same harness."""
