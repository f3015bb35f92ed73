"""Milliseconds per training step at every scale: the program against a plain baseline.

The training loop minus everything else, at the paper's settings, with random networks: `python
benchmarks/bench_step.py --device cpu`. Each side has a process of its own, for each scale a new one, and this process
only asks them. They take turns, so that a slow moment of the machine hits both, and medians are reported. Other work on
the same CPU cores slows the baseline far more, whose threads wait for each other all the time: use an idle machine.
FLOP/s count docs/method.md, section 9's forward passes; the ceilings are measured in the same run.
"""

import contextlib
import itertools
import math
import multiprocessing
import resource
import signal
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from datetime import date
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.baseline import Baseline, Start
from models.architecture import Architecture, ScaleNetworks
from models.pyramid import Pyramid
from models.snapshot import Run
from options import PRECISIONS
from training.domains import DomainThreads
from training.draws import StepDraws
from training.loop import fill_networks, new_state
from training.losses import LossWeights
from training.optimisers import Optimisers, OptimiserSettings
from training.pair import PASSES
from training.step import training_step
from utils.arguments import LineParser, integer
from utils.device import available_gpus, device_name, use_precision
from utils.errors import RunError, one_line_errors
from utils.files import write_json
from utils.run_folder import RunFolder
from utils.geometry import Geometry

PAPER, ARCHITECTURE, WEIGHTS, RATES = Geometry(), Architecture(), LossWeights(), OptimiserSettings()
SIGMA_COARSEST, SIGMA = 0.1, 0.02  # noise amplitudes such as training measures
SEED = 1


class Setup(NamedTuple):
    """How the program is to compute, as train.py's options of these names."""

    precision: str
    save_memory: bool


class Program:
    """The step as train.py takes it."""

    def __init__(self, start: Start, both: DomainThreads, recompute: bool = False) -> None:
        self.networks, pyramids, sigmas, self.reals = start
        self.draws = StepDraws(pyramids, len(pyramids[0].generators), SEED, self.reals[0].device, both)
        self.draws.sigmas, self.chunk, self.both, self.recompute = sigmas, self.draws.steps_per_chunk, both, recompute
        self.optimisers, self.steps = Optimisers(self.networks, RATES), itertools.count()

    def take_step(self) -> None:
        inputs = self.draws.inputs(next(self.steps), self.reals)
        training_step(self.networks, self.optimisers, inputs, self.reals, WEIGHTS, self.both, self.recompute)


def starting_point(scale: int, geometry: Geometry, device: torch.device) -> Start:
    """What a side starts from; the same at every call."""
    pyramids = Pyramid(geometry.shapes, geometry.factor), Pyramid(geometry.shapes, geometry.factor)
    run = Run(RunFolder(Path()), geometry, ARCHITECTURE, device)

    def fresh(i: int) -> ScaleNetworks:
        state = new_state(run, i, RATES)
        fill_networks(run, state, None, SEED)
        return state.networks

    for i in range(scale):
        frozen = fresh(i)
        for pyramid, generator in zip(pyramids, frozen.generators, strict=True):
            pyramid.append(generator, SIGMA if i else SIGMA_COARSEST)
    coarse = 2 * torch.rand(2, 3, 6, 6, generator=torch.Generator().manual_seed(SEED)) - 1
    smooth = F.interpolate(coarse, geometry.shapes[scale], mode="bilinear").to(device)
    return fresh(scale), pyramids, (SIGMA, SIGMA) if scale else (1.0, 1.0), (smooth[:1], smooth[1:])


def seconds_of(call: Callable[[], object], calls: int, device: torch.device) -> float:
    """Mean seconds of a call."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda _: None
    wait(device)
    start = time.perf_counter()
    for _ in range(calls):
        call()
    wait(device)
    return (time.perf_counter() - start) / calls


@torch.no_grad()
def ceilings(channels: int, shape: tuple[int, int], device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """GFLOP/s of a 3x3 convolution on many pictures of a scale, in the better layout, and of a matrix product."""
    pixels, calls = (2**20, 20) if device.type == "cuda" else (2**16, 1)
    shapes = (math.ceil(pixels / math.prod(shape)), channels, *shape), (channels, channels, 3, 3), (2048, 2048)
    images, kernel, square = (torch.randn(*size, device=device).to(dtype) for size in shapes)

    def gflops(flop: float, call: Callable[..., object], *tensors: Tensor) -> float:
        return flop / min(seconds_of(lambda: call(*tensors), calls, device) for _ in range(5)) / 1e9

    flop, layouts = 2 * 9 * channels * images.numel(), (torch.contiguous_format, torch.channels_last)
    pairs = [(images.contiguous(memory_format=x), kernel.contiguous(memory_format=x)) for x in layouts]
    convolution = max(gflops(flop, lambda x, weight: F.conv2d(x, weight, padding=1), *pair) for pair in pairs)
    return convolution, gflops(2 * 2048**3, torch.matmul, square, square)


def peak_memory(device: torch.device) -> float:
    """MiB at this process's highest point so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # On Linux this is at least the peak of the process that started this one: that one must not compute.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def work(connection: Connection, name: str, scale: int, geometry: Geometry, device: torch.device, setup: Setup) -> None:
    """A worker's life: send the steps in a chunk of draws, time as many steps as asked, send the peak, the ceilings."""
    use_precision(setup.precision, device)
    bf16 = setup.precision == "bf16"
    with contextlib.ExitStack() as threads:
        start = starting_point(scale, geometry, device)
        if name == "program":
            both = DomainThreads(device, side_by_side=not setup.save_memory, bf16=bf16)
            side = Program(start, threads.enter_context(both), setup.save_memory)
        else:
            side = Baseline(start, WEIGHTS, RATES)
        connection.send(side.chunk)
        while steps := connection.recv():
            connection.send(seconds_of(side.take_step, steps, device))
        connection.send(peak_memory(device))
        connection.recv()
    # The program's threads are gone: they would slow down what runs with all threads.
    dtype = torch.bfloat16 if bf16 else torch.float32
    connection.send(ceilings(ARCHITECTURE.widths(scale)[0], geometry.shapes[scale], device, dtype))


def serve(connection: Connection, name: str, scale: int, *setup: Any) -> None:
    """A worker's process: an error is its last answer; where the parent has gone, it goes, too."""
    try:
        work(connection, name, scale, *setup)
    except (EOFError, ConnectionError):
        pass
    except Exception as error:
        message = str(error).partition("\n")[0]
        with contextlib.suppress(ConnectionError):
            connection.send(RunError(f"{name} at scale {scale}: {type(error).__name__}: {message}"))


class Worker:
    """Context manager: `work` in a process of its own, which ends with the context."""

    def __init__(self, name: str, scale: int, *setup: Any) -> None:
        context, self.label = multiprocessing.get_context("spawn"), f"{name} at scale {scale}"
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=serve, args=(theirs, name, scale, *setup), daemon=True)
        # Inherited: Ctrl-C is for this process, which then ends its workers; one that comes just now waits.
        resource_tracker.ensure_running()  # else start does it, which unblocks the signal
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self.process.start()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        theirs.close()  # or the worker's end would go unnoticed

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()
        self.connection.close()

    def answer(self) -> Any:
        """Wait for the worker's next message; RunError if that is an error, or the worker is dead."""
        try:
            answer = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            ended = f"{self.label}: its process ended with status {self.process.exitcode}"
            raise RunError(f"{ended}; if memory ran out, try a smaller --img_size") from None
        if isinstance(answer, RunError):
            raise answer
        return answer

    def ask(self, request: int) -> Any:
        """Send a number and wait for the answer."""
        with contextlib.suppress(ConnectionError):  # `answer` says it.
            self.connection.send(request)
        return self.answer()


def measure_scale(
    scale: int, geometry: Geometry, device: torch.device, setup: Setup, names: list[str], repeats: int
) -> dict[str, float]:
    """A row of the table and of the record."""
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(Worker(name, scale, geometry, device, setup)) for name in names}
        # Whole chunks of draws, so that a step bears its share of them; on a GPU one step is too short.
        chunk = max([worker.answer() for worker in workers.values()])
        steps = chunk * math.ceil(16 / chunk) if device.type == "cuda" else chunk
        timings: dict[str, list[float]] = {name: [] for name in names}
        for turn, name in itertools.product(range(repeats + 1), names):
            seconds = workers[name].ask(steps if turn else min(2, steps))  # first to warm up
            timings[name] += [seconds] if turn else []
        peaks = {name: workers[name].ask(0) for name in names}
        convolution, product = workers["program"].ask(0)

    channels, shape = ARCHITECTURE.widths(scale)[0], geometry.shapes[scale]
    gflop = PASSES * 2 * 9 * (3 * channels + 3 * channels**2 + 3 * channels) * math.prod(shape) / 1e9
    row = {"scale": scale, "side": shape[0], "channels": channels, "steps": steps}
    for name in names:
        seconds = statistics.median(timings[name])
        row |= {f"{name}_ms": 1e3 * seconds, f"{name}_gflops": gflop / seconds, f"{name}_mib": peaks[name]}
    if "baseline" in names:
        row["ratio"] = row["baseline_ms"] / row["program_ms"]
    row |= {"convolution_gflops": convolution, "share_of_convolution": row["program_gflops"] / convolution}
    return row | {"product_gflops": product, "share_of_product": row["program_gflops"] / product}


COLUMNS = {"scale": "", "side": "", "channels": "", "program_ms": ".2f", "baseline_ms": ".2f", "ratio": ".2f"}
COLUMNS |= {"program_gflops": ".1f", "baseline_gflops": ".1f", "share_of_convolution": ".1%", "share_of_product": ".1%"}
COLUMNS |= {"program_mib": ".0f", "baseline_mib": ".0f"}


def table_lines(row: dict[str, float]) -> tuple[str, str]:
    """The headings, and below them the numbers of a row."""
    names = [name for name in COLUMNS if name in row]
    return "  ".join(names), "  ".join(format(row[name], COLUMNS[name]).rjust(len(name)) for name in names)


def main(arguments: Sequence[str] | None = None) -> int:
    devices = ["cpu", *(str(device) for device, _ in available_gpus() if device.type == "cuda")]
    add = (parser := LineParser(__doc__.splitlines()[0])).add_argument
    add("--device", choices=[*devices, "cuda"] if devices[1:] else devices, default=devices[:2][-1], help="where")
    size = (
        f"side of the finest scale, pixels; above {PAPER.max_size} it is max_size, too (more scales), else the paper's"
    )
    add("--img_size", type=integer(20), default=PAPER.img_size, help=size)
    add("--scales", help="some of them, separated by commas; last: the finest; not given: all")
    add("--repeats", type=integer(1), default=5, help="timings of each side after a warm-up")
    add("--program_only", action="store_true", help="leave the baseline out")
    add(
        "--precision", choices=PRECISIONS, default="fp32", help="of products and convolutions; bf16: not the baseline's"
    )
    add("--save_memory", action="store_true", help="time the program as train.py --save_memory runs it")
    add("--json", type=Path, metavar="FILE", help="write the numbers here, too")
    options = parser.parse_args(arguments)
    device, setup = torch.device(options.device), Setup(options.precision, options.save_memory)
    geometry = Geometry(img_size=options.img_size, max_size=max(PAPER.max_size, options.img_size))
    scales = {str(scale): scale for scale in range(geometry.stop_scale + 1)} | {"last": geometry.stop_scale}
    wanted = list(scales)[:-1] if options.scales is None else options.scales.split(",")
    if unknown := [name for name in wanted if name not in scales]:
        parser.error(f"--scales: there is no scale '{unknown[0]}'; there are {', '.join(scales)}")
    use_precision(options.precision, device)

    memory = "torch.cuda.max_memory_allocated" if device.type == "cuda" else "ru_maxrss, the whole process"
    record = {"device": device_name(device), "threads": torch.get_num_threads(), "torch": torch.__version__}
    record |= {"date": str(date.today()), **setup._asdict(), "repeats": options.repeats}
    record |= {"img_size": options.img_size, "memory": memory, "rows": []}
    print(", ".join(f"{name} {value}" for name, value in record.items() if name != "rows"), flush=True)
    sides = ["program"] if options.program_only else ["program", "baseline"]
    for name in wanted:
        row = measure_scale(scales[name], geometry, device, setup, sides, options.repeats)
        print(*table_lines(row)[1 if record["rows"] else 0 :], sep="\n", flush=True)
        record["rows"].append(row)
        if options.json:
            write_json(options.json, record)
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main())
