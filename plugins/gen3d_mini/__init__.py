"""The embedded prior: small view-conditioned weights that this project trained, for the plugin `zero123`.

It registers nothing: weights in the folder `weights/zero123` of an installed plugin are found by the plugin's name,
so a recipe says `weights: mini`. The model card is `weights/zero123/README.md`.
"""
