"""What a finished training leaves for people: pictures, a model card, event files for TensorBoard."""
