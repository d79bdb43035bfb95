"""Sources that a model does not know: how they are found out, and how well."""
