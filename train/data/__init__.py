"""Photos for training: found, checked, split, augmented and streamed."""
