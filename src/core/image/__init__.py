"""4a. Images of steps: the environment built once for what makes it, the code laid on top within a second."""
