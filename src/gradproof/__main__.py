"""`python -m gradproof`."""

from gradproof.cli import main

raise SystemExit(main())
