"""How replies compare: objectives of single candidates and of sets, as objects and text."""
