"""What a trained model shows: what it costs, where it looks, which clip it finds."""
