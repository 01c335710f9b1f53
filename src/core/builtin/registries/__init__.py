"""Container registries that core knows by itself; registries of a cloud come with its plugin."""
