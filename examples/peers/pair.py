#!/usr/bin/env python3
"""libdnn beside a peer: both run in turn, A B A B ..., and what came out is compared.

    pair.py run --rounds 5 --out cpu --ours 'build/release/examples/bench --devices cpu --threads 2' \\
            --peer 'python3 examples/peers/torch_bench.py --device cpu --threads 2 --modes eager,channels_last'
    pair.py compare cpu-dnn.jsonl cpu-torch.jsonl --at-least 1.2 --require lenet5/train,lenet5/infer

`run` writes OUT-dnn.jsonl and OUT-torch.jsonl, the JSON lines of each side with the number of the round added. With --by-case A and B
take turns at each case: for every workload and phase (--workloads, --phases) both commands run with these two options added, so that
little time lies between what is compared.

`compare` prints a row for each case that both sides have (device, workload, phase, dtype, batch, threads). Of each side the mode with
the best median counts. The ratio is that of samples a second, ours over the peer's, paired round by round: the median of the pairs
with their range. The ratio of memory is ours over that of the peer's mode that needs least (the peak of a compiled mode is the
compiler's), each the most of all rounds. Exits with 1 when a ratio is below --at-least,
when a row of --require is missing, or when there is nothing to compare.
"""
import argparse
import collections
import json
import shlex
import statistics
import subprocess
import sys

WORKLOADS = "mlp,lenet5,lstm-rows,resnet20-cifar,alexnet2012,alexnet,resnet18,resnet50"


def json_lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def rows_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    rows = json_lines(done.stdout)
    if not rows:
        sys.exit(f"pair: no JSON line came from: {shlex.join(command)} (it ended with {done.returncode})")
    return rows


def run(args):
    cases = [[]]
    if args.by_case:
        cases = [["--workloads", work, "--phases", phase] for work in args.workloads.split(",")
                 for phase in args.phases.split(",")]
    paths = f"{args.out}-dnn.jsonl", f"{args.out}-torch.jsonl"
    with open(paths[0], "w") as ours, open(paths[1], "w") as peer:
        for round_ in range(args.rounds):
            for case in cases:
                for command, file in ((args.ours, ours), (args.peer, peer)):
                    for row in rows_of(shlex.split(command) + case):
                        file.write(json.dumps(row | {"round": round_}) + "\n")
                    file.flush()
    return compare_files(*paths, args)


def load(path):
    """The rows of a file: by case, then by mode."""
    cases = collections.defaultdict(lambda: collections.defaultdict(list))
    with open(path) as file:
        for row in json_lines(file.read()):
            case = tuple(row.get(name) for name in ("device", "workload", "phase", "dtype", "batch", "threads"))
            cases[case][row["mode"]].append(row)
    return cases


def rate(rows):
    return statistics.median(row["samples_per_s"] for row in rows)


def best(modes):
    """The rows of the fastest mode."""
    return max(modes.values(), key=rate)


def memory_ratio(ours, modes):
    most = lambda rows: max((row.get("peak_bytes") or 0 for row in rows), default=0)
    least = min(filter(None, map(most, modes.values())), default=0)
    return f"{most(ours) / least:.2f}" if most(ours) and least else ""


def readable(number):
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def compare_files(our_path, peer_path, args):
    ours, peer = load(our_path), load(peer_path)
    both = [case for case in ours if case in peer]
    wrong, versions = [], set()
    print("| device | workload | phase | dtype | batch | threads | libdnn, samples/s | peer, samples/s (mode) | ratio | range | "
          "rounds | memory |")
    print("|---|---|---|---|--:|--:|--:|--:|--:|---|--:|--:|")
    for case in both:
        a, b = best(ours[case]), best(peer[case])
        versions |= {f"{row['framework']} {row['version']}" for row in a + b}
        other = {row.get("round", 0): row["samples_per_s"] for row in b}
        ratios = [row["samples_per_s"] / other[row.get("round", 0)] for row in a if row.get("round", 0) in other]
        if not ratios:
            wrong.append(f"{case[1]}/{case[2]}: no round has both sides")
            continue
        ratio = statistics.median(ratios)
        cells = [*("" if x is None else str(x) for x in case), readable(rate(a)), f"{readable(rate(b))} ({b[0]['mode']})",
                 f"{ratio:.2f}", f"{min(ratios):.2f} to {max(ratios):.2f}", str(len(ratios)), memory_ratio(a, peer[case])]
        print("| " + " | ".join(cells) + " |")
        if ratio < args.at_least:
            wrong.append(f"{case[1]}/{case[2]}: {ratio:.2f} is below {args.at_least:g}")
    print("\n" + ", ".join(sorted(versions)))
    for name, there, others in (("libdnn", ours, peer), ("the peer", peer, ours)):
        for case in there:
            if case not in others:
                print(f"only {name} has {' '.join(map(str, case))}")
    known = {f"{case[1]}/{case[2]}" for case in both}
    wrong += [f"{row}: missing" for row in filter(None, args.require.split(",")) if row not in known]
    if not both:
        wrong.append("there is nothing to compare")
    for text in wrong:
        print(f"pair: {text}", file=sys.stderr)
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, dest="command")
    pairing, comparing = commands.add_parser("run"), commands.add_parser("compare")
    pairing.add_argument("--ours", required=True, help="the command of libdnn's side")
    pairing.add_argument("--peer", required=True, help="the command of the peer's side")
    pairing.add_argument("--out", required=True, help="how the two files begin")
    pairing.add_argument("--rounds", type=int, default=5)
    pairing.add_argument("--by-case", action="store_true", help="take turns at each case")
    pairing.add_argument("--workloads", default=WORKLOADS, help="with --by-case; all by default")
    pairing.add_argument("--phases", default="train,infer", help="with --by-case")
    comparing.add_argument("ours")
    comparing.add_argument("peer")
    for command in (pairing, comparing):
        command.add_argument("--at-least", type=float, default=0.0, help="the lowest ratio that is good enough")
        command.add_argument("--require", default="", help="rows that must be there: lenet5/train,...")
    args = parser.parse_args()
    return run(args) if args.command == "run" else compare_files(args.ours, args.peer, args)


if __name__ == "__main__":
    sys.exit(main())
