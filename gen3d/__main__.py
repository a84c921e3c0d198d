"""`python -m gen3d` is the same program as `gen3d`."""

from gen3d.cli import main

main()
