"""What artifacts still recognize when photos are not as they should be."""
