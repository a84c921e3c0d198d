"""A web page for people who do not use terminals: make an object, watch it grow, download it; look at new views.

Only a command; no component that a recipe could name.
"""
