"""`python -m bridge` is `sdoh-bridge`."""

from bridge.cli import main

if __name__ == "__main__":
    main()
