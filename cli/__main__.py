"""python -m cli: the command as it is in this folder, without installing it."""

from .main import main

main()
