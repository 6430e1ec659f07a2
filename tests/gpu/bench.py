"""A part of bench.sh, as far as the time goes: bench.py OUT_DIR PART STARTED PACK."""
import csv, json, os, pathlib, shlex, shutil, signal, subprocess, sys, time

OUT, PART, BEGAN = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
HERE, PACK = pathlib.Path(__file__).resolve().parent, pathlib.Path(sys.argv[4] or "pack")
PEER = HERE / "torch_bench.py"
if not PEER.exists():  # called in the repository
    PEER = HERE.parent.parent / "examples" / "peers" / "torch_bench.py"
DRY = bool(os.environ.get("DNN_BENCH_DRY"))
SECONDS = float(os.environ.get("DNN_BENCH_SECONDS", "540"))
END = BEGAN + 0.97 * SECONDS
CASE_SECONDS = os.environ.get("DNN_BENCH_CASE", "2")
ROUNDS = int(os.environ.get("DNN_BENCH_ROUNDS", "5"))
COMPLETE, FAILED, AGAIN = 0, 1, 3


def names(variable, default):
    return os.environ.get(variable, default).split(",")


WORKLOADS = names("DNN_BENCH_WORKLOADS", "mlp,lenet5,lstm-rows,resnet20-cifar,alexnet2012,alexnet,resnet18,resnet50")
PHASES = names("DNN_BENCH_PHASES", "train,infer")
OUR_PRECISIONS = names("DNN_BENCH_PRECISION", "tf32,bf16,fp32")
PEER_PRECISIONS = names("DNN_BENCH_PRECISION", "tf32,bf16,fp32")
BATCH = ["--batch", os.environ.get("DNN_BENCH_BATCH", "0")]
KERNEL_MODES = ["eager", "compile"]
FAMILIES = ["copy", "pointwise", "reduce", "norm", "update", "loss", "pool", "index", "product", "conv", "recurrent"]
OUR_MODES = ["--modes", "eager,graph,graph16"]


class OutOfTime(Exception):
    pass


# ---- the machine ------------------------------------------------------------------------------------------------------

FACTS = ["name", "driver_version", "clocks.sm", "clocks.mem", "power.draw", "temperature.gpu", "utilization.gpu",
         "clocks_throttle_reasons.active"]


def machine():
    if not shutil.which("nvidia-smi"):
        return {"name": "none"}
    done = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(FACTS)}", "--format=csv,noheader"], capture_output=True, text=True)
    if done.returncode != 0 or not done.stdout.strip():
        return {"name": "none"}
    return dict(zip(FACTS, (field.strip() for field in done.stdout.splitlines()[0].split(","))))


def short_name(gpu):
    """NVIDIA H100 80GB HBM3 -> h100"""
    words = [word for word in gpu.split() if word.upper() not in ("NVIDIA", "TESLA", "GEFORCE", "RTX")]
    return os.environ.get("DNN_BENCH_NAME") or (words[0].lower() if words else "gpu")


# ---- running and remembering ------------------------------------------------------------------------------------------

class Results:
    """The files of a part, and what failed before: a case that failed is not tried again."""

    def __init__(self, gpu):
        self.gpu = short_name(gpu)
        self.state = OUT / "failed-cases.json"
        self.failed = json.loads(self.state.read_text()) if self.state.exists() else {}

    def path(self, kind):
        return OUT / f"{self.gpu}-{kind}.jsonl"

    def rows(self, kind):
        path = self.path(kind)
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def add(self, kind, rows):
        with open(self.path(kind), "a") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))

    def fail(self, case, why, output=""):
        self.failed[f"{PART}: {case}"] = why
        self.state.write_text(json.dumps(self.failed, indent=1) + "\n")
        with open(OUT / "failures.txt", "a") as file:
            file.write(f"==== {PART}: {case}: {why}\n{output[-4000:]}\n")
        print(f"{case}: {why}", flush=True)

    def gave_up(self, case):
        return f"{PART}: {case}" in self.failed

    def count(self):
        return sum(name.startswith(f"{PART}: ") for name in self.failed)


def run(command, ours=False):
    """Exit code (None: out of time), standard output and standard error; what it started ends with it."""
    command = [str(word) for word in command]
    if DRY:
        print(shlex.join(command))
        return 0, "", ""
    began, left = time.time(), END - time.time()
    if left < 15 and time.time() - BEGAN > 15:  # not in a call that is shorter than that anyway
        raise OutOfTime
    env = dict(os.environ)
    if ours:
        env["LD_LIBRARY_PATH"] = os.environ.get("DNN_LIBRARY_PATH", "")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", env=env,
                               start_new_session=True)
    try:
        output, errors = process.communicate(timeout=max(1, left))
        return process.returncode, output, errors
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        # What has had nearly the whole call will not end in the next one either.
        return (None if began - BEGAN > 0.25 * SECONDS else -signal.SIGKILL), output, errors


def json_rows(output):
    rows = []
    for line in output.splitlines():
        try:
            rows += [json.loads(line)] if line.startswith("{") else []
        except ValueError:
            pass  # the line in which the process was ended
    return rows


def how_it_ended(code, errors):
    last = errors.strip().splitlines()[-1:] or ["it said nothing"]
    return f"ended with {code}: {last[0][:300]}"


def peer(*options):
    return [sys.executable, PEER, "--device", "cuda", "--seconds", CASE_SECONDS, *BATCH, *options]


def ours(*options):
    return [PACK / "bin" / "bench", "--devices", "cuda", "--seconds", CASE_SECONDS, *BATCH, *options]


# ---- the parts --------------------------------------------------------------------------------------------------------

def peer_modes(results, modes):
    """PyTorch in some modes. One process for the modes of a case, since PyTorch takes seconds to start."""
    for work in WORKLOADS:
        for phase in PHASES:
            for precision in PEER_PRECISIONS:
                case = f"{work} {phase} {precision}"
                done = {row["mode"] for row in results.rows("modes")
                        if f"{row['workload']} {row['phase']} {row['dtype']}" == case}
                missing = [mode for mode in modes if mode not in done and not results.gave_up(f"{case} {mode}")]
                if not missing:
                    continue
                code, output, errors = run(peer("--workloads", work, "--phases", phase, "--precision", precision,
                                                "--modes", ",".join(missing)))
                rows = json_rows(output)
                results.add("modes", rows)
                if code is None:
                    raise OutOfTime
                for mode in missing if not DRY else []:
                    if mode not in {row["mode"] for row in rows}:
                        results.fail(f"{case} {mode}", how_it_ended(code, errors), errors)


def alone(results):
    for work in WORKLOADS:
        for phase in PHASES:
            case = f"{work} {phase}"
            if results.gave_up(case) or any(f"{r['workload']} {r['phase']}" == case for r in results.rows("alone")):
                continue
            code, output, errors = run(ours("--workloads", work, "--phases", phase, "--precision", ",".join(OUR_PRECISIONS),
                                          *OUR_MODES), True)
            if code is None:
                raise OutOfTime
            results.add("alone", json_rows(output))
            if code != 0:
                results.fail(case, how_it_ended(code, errors), errors)


def best_mode(results, work, phase, precision):
    rows = [r for r in results.rows("modes") if (r["workload"], r["phase"], r["dtype"]) == (work, phase, precision)]
    return max(rows, key=lambda r: r["samples_per_s"])["mode"] if rows else None


def pair(results):
    """A B A B ...: a round of a case counts when both sides are there."""
    for work in WORKLOADS:
        for phase in PHASES:
            for precision in OUR_PRECISIONS:
                case = f"{work} {phase} {precision}"
                same = lambda r: f"{r['workload']} {r['phase']} {r['dtype']}" == case
                mode = best_mode(results, work, phase, precision) or ("eager" if DRY else None)
                if mode is None and not results.gave_up(case):
                    results.fail(case, "no mode of PyTorch was measured, expected the peer's parts before")
                done = {r["round"] for r in results.rows("torch") if same(r)}
                for number in range(ROUNDS):
                    if number in done or results.gave_up(case):
                        continue
                    options = ["--workloads", work, "--phases", phase, "--precision", precision]
                    found = {}
                    sides = {"dnn": ours(*options, *OUR_MODES, "--no-peaks"), "torch": peer(*options, "--modes", mode)}
                    for kind, command in sides.items():
                        code, output, errors = run(command, kind == "dnn")
                        if code is None:
                            raise OutOfTime
                        found[kind] = [row | {"round": number} for row in json_rows(output)]
                        if not found[kind] and not DRY:
                            results.fail(case, how_it_ended(code, errors), errors)
                            break
                    else:
                        for kind, rows in found.items():
                            results.add(kind, rows)


NCU = ["ncu", "--profile-from-start", "off", "--clock-control", "none", "--csv", "--page", "raw", "--print-units", "base",
       "--metrics", "gpu__time_duration.sum,dram__bytes_read.sum,dram__bytes_write.sum"]


def kernels_of(output):
    """{kernel: (launches, microseconds, bytes)} of ncu's table, whose second line holds the units."""
    lines = output.splitlines()
    head = next((i for i, line in enumerate(lines) if line.startswith('"ID"')), None)
    if head is None:
        return {}
    found = {}
    for row in list(csv.DictReader(lines[head:]))[1:]:
        number = lambda name: float((row.get(name) or "0").replace(",", ""))
        launches, us, size = found.get(row["Kernel Name"], (0, 0.0, 0.0))
        found[row["Kernel Name"]] = (launches + 1, us + number("gpu__time_duration.sum") / 1e3,
                                     size + number("dram__bytes_read.sum") + number("dram__bytes_write.sum"))
    return found


def step_kernels(results, kind, precision, mode, command, own):
    """The kernels of one step under ncu; the reason where that cannot be."""
    case = f"{precision} {mode}"
    if results.gave_up(case) or any((r["dtype"], r["mode"]) == (precision, mode) for r in results.rows(kind)):
        return None
    if not DRY and not shutil.which("ncu"):
        return "there is no ncu"
    code, output, errors = run([*NCU, *command, "--mark-step"], own)
    if code is None:
        raise OutOfTime
    found = kernels_of(output)
    if DRY:
        return None
    if not found:
        return how_it_ended(code, errors or output)
    row = next(iter(json_rows(output)), {})
    what = {name: row.get(name) for name in ("framework", "version", "device", "workload", "phase", "dtype", "mode", "batch")}
    results.add(kind, [what | {"kernel": name, "launches": n, "us": us, "bytes": size}
                       for name, (n, us, size) in sorted(found.items(), key=lambda item: -item[1][1])])
    return None


def kernels(results):
    for precision in OUR_PRECISIONS:
        command = ours("--alone", "--workloads", "resnet50", "--phases", "train", "--precision", precision)
        why = step_kernels(results, "kernels-dnn", precision, "eager", command, True)
        if why:
            results.fail(f"{precision} eager", why)


def peer_kernels(results):
    for precision in PEER_PRECISIONS:
        for mode in KERNEL_MODES:
            command = peer("--workloads", "resnet50", "--phases", "train", "--precision", precision, "--modes", mode)
            why = step_kernels(results, "kernels-torch", precision, mode, command, False)
            if why is None:
                continue
            print(f"{precision} {mode}: no bytes, since {why}", flush=True)
            times = OUT / "kernels.part"
            times.unlink(missing_ok=True)
            code, _, errors = run([*command, "--kernels", times])
            if code is None:
                raise OutOfTime
            rows = json_rows(times.read_text()) if times.exists() else []
            times.unlink(missing_ok=True)
            results.add("kernels-torch", rows)
            if not rows:
                results.fail(f"{precision} {mode}", how_it_ended(code, errors), errors)


def plans(results):
    """The program says after each graph that it is done; the lines of one that is not are dropped."""
    done = max((row["done"] for row in results.rows("plans-done")), default=-1)
    left = 60 if DRY else max(1, int(END - time.time() - 20))
    code, output, errors = run([PACK / "bin" / "dnn_conv_plans", str(done + 1), str(left)], True)
    rows = json_rows(output)
    finished = [row["done"] for row in rows if "done" in row]
    results.add("plans", [row for row in rows if "plan" in row and row["graph"] in finished])
    if finished:
        results.add("plans-done", [{"done": max(finished)}])
    if code == 3 or code is None:
        raise OutOfTime
    if code != 0:
        results.fail("plans", how_it_ended(code, errors), errors)


def bandwidth(results):
    """Every kernel on up to 1 GB beside the measured copy, family by family."""
    for family in FAMILIES:
        if results.gave_up(family) or any(row["family"] == family for row in results.rows("bandwidth")):
            continue
        code, output, errors = run([PACK / "bin" / "dnn_benchmark", "--device=cuda", f"--benchmark_filter=^{family}/",
                                    "--benchmark_min_time=0.2", "--benchmark_format=json"], True)
        if code is None:
            raise OutOfTime
        try:
            found = json.loads(output or "{}").get("benchmarks", [])
        except ValueError:  # it was ended while it wrote
            found = []
        results.add("bandwidth", [{"family": family, "name": row["name"], "us": row.get("real_time"), "error": row.get("error_message"),
                                   **{name: row.get(name) for name in ("bytes_per_second", "of_copy", "FLOP/s")}} for row in found])
        if not found and not DRY:
            results.fail(family, how_it_ended(code, errors), errors)


PARTS = {
    "peer-eager": lambda results: peer_modes(results, ["eager"]),
    "peer-graph": lambda results: peer_modes(results, ["graph", "graph16"]),
    "peer-compile": lambda results: peer_modes(results, ["compile"]),
    "peer-compile-graph": lambda results: peer_modes(results, ["compile-graph"]),
    "peer-kernels": peer_kernels,
    "ours": alone,
    "pair": pair,
    "kernels": kernels,
    "bandwidth": bandwidth,
    "plans": plans,
}


def main():
    if PART not in PARTS:
        print(f"bench: there is no part {PART}, expected one of {', '.join(PARTS)}", file=sys.stderr)
        return 2
    before = machine()
    results = Results(before["name"])
    if before["name"] == "none" and not DRY:
        print("bench: nvidia-smi shows no GPU", file=sys.stderr)
    elif not DRY and not before["utilization.gpu"].startswith("0"):
        print(f"bench: the GPU is at work already ({before['utilization.gpu']})", file=sys.stderr)
    try:
        PARTS[PART](results)
        status = FAILED if results.count() else COMPLETE
    except OutOfTime:
        status = AGAIN
    if not DRY:
        results.add("machine", [{"part": PART, "before": before, "after": machine(), "seconds": round(time.time() - BEGAN)}])
    print({COMPLETE: "complete", FAILED: f"complete, {results.count()} failed", AGAIN: "not complete, call it again"}[status])
    return status


if __name__ == "__main__":
    sys.exit(main())
