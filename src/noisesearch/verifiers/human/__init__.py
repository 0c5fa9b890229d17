"""A person as a verifier: questions, record, terminal and page."""
