"""The worlds that ship inside: small trained models with verifiers and a ground truth."""
