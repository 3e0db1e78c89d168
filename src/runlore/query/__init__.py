"""The filter language: text to a checked tree. Knows nothing of SQL."""
