"""`python -m tests.chaos`. Each worker reads this file first, so it imports nothing before it is needed."""

if __name__ == "__main__":
    from tests.chaos.trials import main

    main()
