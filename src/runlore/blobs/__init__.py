"""Files of runs and models: where they are, and how they get there and back."""
