"""One box under one loss: what a loss does, seen without a detector."""
