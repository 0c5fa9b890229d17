"""Names of what a user can choose: the registry, settings and drafts as text, typed options."""
