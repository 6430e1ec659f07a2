"""Tests of examples/peers/pair.py with programs that only play the two sides: pair_test.py PAIR."""
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

PAIR = pathlib.Path(sys.argv.pop(1)).resolve()

# Plays a side: notes that it was called, and prints a row. Its speed in each round stands in its arguments.
SIDE = """
import json, pathlib, sys
name, log, rates, rest = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3].split(","), sys.argv[4:]
calls = log.read_text().split() if log.exists() else []
options = dict(zip(rest[::2], rest[1::2]))
work, phase = options.get("--workloads", "mlp"), options.get("--phases", "train")
log.write_text(" ".join(calls + [f"{name}:{work}/{phase}" if rest else name]))
rate = float(rates[sum(call.startswith(name) for call in calls) % len(rates)])
print("a line of text")
for mode, factor in (("eager", 1), ("slow", 0.5)):
    print(json.dumps({"framework": name, "version": "1", "device": "cpu", "workload": work, "phase": phase, "dtype": "fp32",
                      "mode": mode, "batch": 32, "threads": 2, "median_ms": 32e3 / rate, "min_ms": 1,
                      "samples_per_s": rate * factor, "loss": None, "peak_bytes": 300 if name == "a" else 400 if mode == "slow" else 900}))
"""


class PairTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "side.py").write_text(SIDE)

    def side(self, name, rates):
        return f"{sys.executable} {self.folder}/side.py {name} {self.folder}/log {rates}"

    def pair(self, *arguments):
        return subprocess.run([sys.executable, "-B", PAIR, *arguments], capture_output=True, text=True, cwd=self.folder)

    def run_sides(self, *options, ours="100,300,200", peer="100"):
        return self.pair("run", "--out", "cpu", "--ours", self.side("a", ours), "--peer", self.side("b", peer), *options)

    def calls(self):
        return (self.folder / "log").read_text().split()

    def test_the_sides_take_turns(self):
        done = self.run_sides("--rounds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.calls(), ["a", "b"] * 3)
        rows = [json.loads(line) for line in (self.folder / "cpu-dnn.jsonl").read_text().splitlines()]
        self.assertEqual([row["round"] for row in rows], [0, 0, 1, 1, 2, 2])
        self.assertIn("| cpu | mlp | train | fp32 | 32 | 2 | 200 | 100 (eager) | 2.00 | 1.00 to 3.00 | 3 | 0.75 |", done.stdout)
        self.assertIn("a 1, b 1", done.stdout)

    def test_they_take_turns_at_each_case(self):
        self.run_sides("--rounds", "1", "--by-case", "--workloads", "mlp,lenet5", "--phases", "infer")
        self.assertEqual(self.calls(), ["a:mlp/infer", "b:mlp/infer", "a:lenet5/infer", "b:lenet5/infer"])

    def test_what_is_too_slow_or_missing_fails(self):
        done = self.run_sides("--rounds", "3", "--at-least", "2.5", "--require", "mlp/train,mlp/infer")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, "pair: mlp/train: 2.00 is below 2.5\npair: mlp/infer: missing\n")

    def test_files_can_be_compared_again(self):
        self.run_sides("--rounds", "2")
        self.assertEqual(self.pair("compare", "cpu-dnn.jsonl", "cpu-torch.jsonl").returncode, 0)
        (self.folder / "none.jsonl").write_text("")
        done = self.pair("compare", "cpu-dnn.jsonl", "none.jsonl")
        self.assertEqual((done.returncode, done.stderr), (1, "pair: there is nothing to compare\n"))
        self.assertIn("only libdnn has cpu mlp train fp32 32 2", done.stdout)

    def test_a_side_without_results_ends_it(self):
        done = self.pair("run", "--out", "cpu", "--ours", "false", "--peer", "true")
        self.assertEqual((done.returncode, done.stderr), (1, "pair: no JSON line came from: false (it ended with 1)\n"))


if __name__ == "__main__":
    unittest.main()
