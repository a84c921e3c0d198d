"""One file a format: each writes a `Body` of the asset as it is, in its frame and units."""
