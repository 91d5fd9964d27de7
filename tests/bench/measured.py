"""A `marketplace` command that ends by saying on standard error how much memory its process took at most."""

import resource
import sys

from marketplace.cli import main

if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stderr.write(f"peak_memory_kib={resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}\n")
