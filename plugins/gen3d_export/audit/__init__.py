"""Whether a file will do in a game engine, from its bytes alone: nothing here knows how it was written."""
