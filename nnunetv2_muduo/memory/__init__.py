"""What a configuration takes of the GPU's and the host's memory, told before anything runs."""
