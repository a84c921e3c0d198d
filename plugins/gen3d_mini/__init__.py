"""The embedded priors: small weights that this project trained, for the plugins `zero123` and `stable_diffusion`.

It registers nothing: weights in a folder `weights/PRIOR` of an installed plugin are found by the plugin's name,
so a recipe says `weights: mini`. The model cards are `weights/PRIOR/README.md`.
"""
