"""`python -m tollhouse`."""

from tollhouse.cli import main

if __name__ == "__main__":
    main()
