"""From an unlabelled database to a model that answers questions about it."""
