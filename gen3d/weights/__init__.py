"""Weights of frozen networks, in the diffusers folder layout: where they are, what is damaged, reading and writing."""
