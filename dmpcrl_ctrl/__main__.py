"""`python -m dmpcrl_ctrl`: the same as the command `dmpcrl-ctrl`."""

from dmpcrl_ctrl.cli import main

if __name__ == "__main__":
    main()
