"""``python -m camdenoise`` is the command line."""

from camdenoise.cli import main

if __name__ == "__main__":
    main(prog_name="camdenoise")
