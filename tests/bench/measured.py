"""A `marketplace` command that ends by saying on standard error what its process computed and took of memory."""

import re
import sys
import time
from pathlib import Path

from marketplace.cli import main


def peak_memory_kib() -> int:
    """The most memory this program has held (Linux).

    What getrusage says would count in the process that has started this one: ru_maxrss outlives exec.
    """
    [peak] = re.findall(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(peak)


if __name__ == "__main__":
    try:
        main()
    finally:
        sys.stderr.write(f"cpu_s={time.process_time():.2f}\npeak_memory_kib={peak_memory_kib()}\n")
