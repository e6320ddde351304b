"""What reports tell beyond their means: popularity, pairs of models, groups of users and items, parameters, time."""
