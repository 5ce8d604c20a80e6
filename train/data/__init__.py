"""Photos for training: layouts, checks, splits, augmentation and batches."""
