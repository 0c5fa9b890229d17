"""The world fashion: SiT on Fashion-MNIST, and its verifiers."""
