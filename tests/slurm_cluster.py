"""A Slurm cluster of one node on this machine, for tests: root, loopback, no accounting."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

CONFIG = Path("/etc/slurm/slurm.conf")
STATE = Path("/var/lib/slurm/test-cluster")
SETTINGS = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation={state}/controller
SlurmdSpoolDir={state}/node
SlurmctldLogFile={state}/slurmctld.log
SlurmdLogFile={state}/slurmd.log
SlurmctldPidFile={state}/slurmctld.pid
SlurmdPidFile={state}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=1,sched_min_interval=200000
MinJobAge=300
KillWait=10
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


class UnavailableError(Exception):
    """There is no cluster and none can be made here; the message says why."""


def answers() -> bool:
    """Whether a cluster is there that takes jobs."""
    if not shutil.which("sinfo"):
        return False
    asked = ["sinfo", "--noheader", "--states=idle,mixed,allocated", "--format=%D"]
    found = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    return found.returncode == 0 and found.stdout.strip() not in ("", "0")


def start() -> None:
    """Use the cluster that is there; else install one where that can be, and start it.

    Raises UnavailableError with the reason.
    """
    if answers():
        return
    if os.geteuid() != 0:
        raise UnavailableError("no Slurm cluster answers, and only root can start one")
    if not shutil.which("slurmctld") or not shutil.which("munged"):
        _install()
    if CONFIG.exists() and "ClusterName=test\n" not in CONFIG.read_text():
        raise UnavailableError(f"{CONFIG} is of another cluster, which does not answer")
    for folder in (STATE / "controller", STATE / "node", Path("/run/munge")):
        folder.mkdir(parents=True, exist_ok=True)
    host = socket.gethostname().split(".")[0]
    CONFIG.write_text(SETTINGS.format(host=host, state=STATE, cpus=os.cpu_count()))
    shutil.chown("/run/munge", "munge", "munge")
    for command in (["runuser", "-u", "munge", "--", "munged"], ["slurmctld"], ["slurmd"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        already = "already" in done.stderr or "in use" in done.stderr
        if done.returncode and not already:
            raise UnavailableError(f"{command[-1]} does not start: {done.stderr.strip()[:300]}")
    for _ in range(60):
        if answers():
            return
        time.sleep(1)
    raise UnavailableError(f"the node does not come up within a minute; see {STATE}")


def _install() -> None:
    if not shutil.which("apt-get"):
        raise UnavailableError("Slurm is not installed, and there is no apt-get to install it with")
    command = ["apt-get", "install", "-y", "--no-install-recommends", "slurm-wlm", "munge"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for _ in range(2):  # a fresh machine has no package lists yet
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode == 0:
            return
        subprocess.run(["apt-get", "update"], capture_output=True)
    raise UnavailableError(f"Slurm cannot be installed: {done.stderr.strip()[-300:]}")
