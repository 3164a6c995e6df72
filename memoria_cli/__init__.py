"""The command line `memoria`: parses, calls the library, prints."""
