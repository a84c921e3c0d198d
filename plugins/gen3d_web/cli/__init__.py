"""Commands of this plugin, one file each; heavy imports only inside of them."""
