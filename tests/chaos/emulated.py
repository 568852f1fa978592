"""What disturbs the BigQuery emulator during a load: killed, or stopped for some seconds."""

import time
from collections.abc import Callable
from random import Random

import psutil

from myproperty import engines
from myproperty.engines.environment import find_emulator
from tests.chaos.loads import PATIENCE_S, Ended, Worker, at_random_call
from tests.chaos.world import World


def kill_emulator(world: World, random: Random) -> Ended:
    """`kill -9` of the emulator, then `myproperty up` while the load still tries."""

    def kill(process: psutil.Process) -> None:
        process.kill()
        psutil.wait_procs([process], PATIENCE_S)
        engines.up(world.settings)

    return _disturb(world, random, kill)


def stop_emulator(world: World, random: Random) -> Ended:
    """SIGSTOP of the emulator for up to five seconds, then SIGCONT."""
    seconds = random.uniform(0.2, 5)

    def stop(process: psutil.Process) -> None:
        process.suspend()
        time.sleep(seconds)
        process.resume()

    ended = _disturb(world, random, stop)
    ended.point += f", {seconds:.1f} s"
    return ended


def _disturb(world: World, random: Random, act: Callable[[psutil.Process], None]) -> Ended:
    emulator = find_emulator(world.settings).running()
    assert emulator is not None
    orders = at_random_call(world, random)
    worker = Worker(world, orders)
    worker.reached.wait(world.seconds * 20 + 5)
    time.sleep(orders.delay)
    act(psutil.Process(emulator.pid))
    ended = worker.wait()
    ended.point = f"call {orders.call} + {orders.delay:.3f} s"
    return ended
