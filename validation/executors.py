"""Executors of others for campaigns: a Dask cluster, or the ranks of an MPI job. Both are extras, loaded when wanted.

They are ordinary `concurrent.futures.Executor`s; what stands here is how to get one, and one line where there is none.
"""

import asyncio
import logging
import sys
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

from dmpcrl_ctrl.errors import CampaignError
from dmpcrl_ctrl.messages import one_line
from dmpcrl_ctrl.threads import one_thread

_SECONDS_TO_CONNECT = 5.0
_STARTED_BY = "mpiexec -n 3 python -m mpi4py.futures -m dmpcrl_ctrl campaign CAMPAIGN.toml --out DIR --mpi"


@contextmanager
def dask_executor(address: str, timeout: float = _SECONDS_TO_CONNECT) -> Iterator[Executor]:
    """The executor of a Dask cluster, for as long as the context lasts.

    Parameters
    ----------
    address
        Of its scheduler, such as tcp://127.0.0.1:8786.
    timeout
        Seconds to connect.

    Raises
    ------
    CampaignError
        The package is missing, or nobody answers at this address.

    Notes
    -----
    Workers need this package, and, where runs are logged, the same folder. How often a task is tried whose worker dies
    is the scheduler's own choice (`distributed.scheduler.allowed-failures`).
    """
    try:
        from distributed import Client
        from distributed.comm.addressing import parse_address, parse_host_port
        from distributed.comm.registry import get_backend
    except ImportError as error:
        raise CampaignError(f"Dask needs the package distributed ({error}): pip install dmpcrl-ctrl[dask]") from error
    if not address.strip():
        raise CampaignError("--dask needs the address of a scheduler, such as tcp://127.0.0.1:8786")
    # it tells the log of every attempt to connect, and of workers that leave; the campaign tells what came of them
    log = logging.getLogger("distributed")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        try:
            # a client of an address that cannot be leaves threads behind
            scheme, where = parse_address(address)
            get_backend(scheme)
            if scheme != "inproc":
                parse_host_port(where)
                with ThreadPoolExecutor(1) as beside:  # the caller may have a running loop of its own
                    beside.submit(asyncio.run, _knock(address, timeout)).result()
            client = Client(address, timeout=timeout, set_as_default=False)
        except (OSError, ValueError, TypeError, ImportError) as error:
            raise CampaignError(f"no Dask scheduler answers at {address}: {_short(error)}") from error
        with client, client.get_executor(pure=False) as executor:
            yield executor
    finally:
        log.setLevel(level)


@contextmanager
def mpi_executor() -> Iterator[Executor]:
    """The ranks of this MPI job but the first, for as long as the context lasts.

    Raises
    ------
    CampaignError
        The package is missing, or this is no job that it has started.
    """
    try:
        from mpi4py.futures import MPIPoolExecutor
    except (ImportError, RuntimeError) as error:
        raise CampaignError(f"MPI needs the package mpi4py and a library ({error}): dmpcrl-ctrl[mpi]") from error
    shared = getattr(sys.modules.get("mpi4py.futures._core"), "SharedPool", None)
    if shared is None:
        raise CampaignError(f"--mpi needs the ranks of a job: start it by {_STARTED_BY}")
    with MPIPoolExecutor(initializer=one_thread) as executor:
        yield executor


async def _knock(address: str, timeout: float) -> None:
    """Ask who is there; a client of somebody who accepts and never speaks would wait for ever."""
    from distributed.core import connect
    from distributed.security import Security

    async def ask() -> None:
        comm = await connect(address, timeout=timeout, **Security().get_connection_args("client"))
        try:
            await comm.write({"op": "identity"})
            await comm.read()
        finally:
            comm.abort()

    try:
        await asyncio.wait_for(ask(), timeout)
    except TimeoutError:
        raise OSError(f"no answer within {timeout:g} s") from None


def _short(error: BaseException) -> str:
    return one_line(error)[:200] or type(error).__name__
