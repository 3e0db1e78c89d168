"""The `runlore` program."""
