"""What chapters and pages are made in: this Python, and an environment that is the same for all.

    python book/_press/surroundings.py jupyter-book build .     a tool of this Python, so surrounded

Nothing that a user has set for matplotlib, IPython, Jupyter, Python or the language of messages
is seen here; where data and runs lie, and what computes, stays as it was told.
"""

import getpass
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sources import ROOT

OF_THE_USER = ("COLUMNS", "DOCUTILS", "FORCE_COLOR", "IPYTHON", "JUPYTER", "LANG", "LC_", "LINES")
OF_THE_USER += ("MATPLOTLIB", "MPL", "NO_COLOR", "PANDAS", "PYTHON", "TORCH_CPP", "TORCH_LOGS")
OF_THE_USER += ("TQDM",)
PLACES = ("DONTWRITEBYTECODE", "HOME", "NOUSERSITE", "PATH", "PYCACHEPREFIX", "USERBASE")
KEPT = {f"PYTHON{place}" for place in PLACES}  # which modules there are, and not what they do
LONGEST = 80  # bytes of a folder for sockets: the system allows some hundred for the whole path
# A driver too old for torch is none of a chapter's business: it then computes on the processor.
IGNORED = "ignore:CUDA initialization:UserWarning"


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """The variables of a process that makes pages; its JUPYTER_RUNTIME_DIR is there meanwhile.

    Only we may enter that folder: IPython's history and Jupyter's files and sockets lie there, so
    that no home is needed.  Matplotlib's cache is kept in _build.
    """
    of_the_system = tempfile.gettempdir()
    short = len(os.fsencode(of_the_system)) <= LONGEST
    with tempfile.TemporaryDirectory(prefix="cgn-", dir=of_the_system if short else "/tmp") as own:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or not name.startswith(OF_THE_USER)
        }
        yield kept | {
            "HOME": os.environ.get("HOME") or own,
            "IPYTHONDIR": f"{own}/ipython",
            "JUPYTER_CONFIG_DIR": f"{own}/config",
            "JUPYTER_DATA_DIR": f"{own}/data",
            "JUPYTER_RUNTIME_DIR": own,
            "LC_ALL": "C.UTF-8",
            "LOGNAME": user(),
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
            "MPLCONFIGDIR": str(ROOT / "_build" / "cache" / "matplotlib"),
            "MPL_IGNORE_SYSTEM_FONTS": "1",
            "PYTHONUTF8": "1",
            "PYTHONWARNINGS": IGNORED,
            "XDG_CACHE_HOME": f"{own}/cache",
        }


def user() -> str:
    """The name of who runs this; in a container a number may have none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "nobody"


def main(argv: list[str]) -> int:
    """Run a tool that lies beside this Python, or Python itself; how it ends is its own affair."""
    here = Path(sys.executable).parent
    tool = shutil.which(argv[0], path=here) if argv else None
    if tool is None:
        raise SystemExit(f"name a tool of {here}, as jupyter-book")
    with environment() as variables:
        running = subprocess.Popen([tool, *argv[1:]], env=variables)
        while True:
            with suppress(KeyboardInterrupt):  # it hears that too, and may ask whether to end
                return running.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
