"""Where the bytes of a store are read from: a directory, a zip file, object storage."""
