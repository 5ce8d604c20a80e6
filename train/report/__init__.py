"""Reports of a training: figures, the model card, ``evaluation.json`` and event files for TensorBoard."""
