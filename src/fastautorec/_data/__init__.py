"""Getting data in: the interaction matrix with its ids, rating files, splits, drawn data, and the embedded example."""
