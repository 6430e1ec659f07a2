// The parts of examples/bench: rows as JSON, costs of a step, the table, the report.
#include <dnn/dnn.h>
#include <gmock/gmock.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "examples/bench/child.h"
#include "examples/bench/cost.h"
#include "examples/bench/machine.h"
#include "examples/bench/measure.h"
#include "examples/bench/numbers.h"
#include "examples/bench/pairs.h"
#include "examples/bench/report.h"
#include "examples/bench/svg.h"
#include "examples/bench/table.h"
#include "tests/harness/errors.h"

namespace dnn::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Row row(const std::string& framework, const std::string& workload, const std::string& device, double rate,
        int64_t batch = 32) {
  Row r{.framework = framework,
        .version = "1.0",
        .device = device,
        .workload = workload,
        .phase = "train",
        .dtype = "fp32",
        .mode = "eager",
        .batch = batch};
  if (device == "cpu") r.threads = 2;
  r.samples_per_s = rate, r.median_ms = static_cast<double>(batch) / rate * 1e3, r.min_ms = 0.9 * r.median_ms;
  if (framework == "libdnn") {
    r.p90_ms = 1.2 * r.median_ms, r.max_ms = 2 * r.median_ms, r.loss = 0.5, r.peak_bytes = 3 << 20;
    r.flops = 1e9, r.layer_bytes = 1e8, r.peak_flops_per_s = 2e11, r.peak_bytes_per_s = 2.5e10;
  }
  return r;
}

// What the FormatError says that must come; its end is the JSON library's.
template <class Action>
std::string format_error(const Action& action) {
  try {
    action();
    return "nothing was thrown";
  } catch (const FormatError& error) {
    return error.what();
  }
}

// ---- rows -----------------------------------------------------------------------------------------------------------

TEST(BenchRows, ComeBackFromJson) {
  const Row there = row("libdnn", "lenet5", "cpu", 1000);
  const Row back = row_of(to_json(there));
  EXPECT_TRUE(back.same_case(there));
  EXPECT_EQ(back.median_ms, there.median_ms);
  EXPECT_EQ(back.p90_ms, there.p90_ms);
  EXPECT_EQ(back.max_ms, there.max_ms);
  EXPECT_EQ(back.loss, there.loss);
  EXPECT_EQ(back.peak_bytes, there.peak_bytes);
  EXPECT_EQ(back.layer_bytes, there.layer_bytes);
  EXPECT_EQ(back.peak_flops_per_s, there.peak_flops_per_s);
  const Row gpu = row_of(to_json(row("pytorch", "lenet5", "cuda", 1000)));
  EXPECT_FALSE(gpu.threads || gpu.loss || gpu.flops);
}

TEST(BenchRows, HaveTheFieldsOfThePeer) {
  const json row_json = to_json(row("libdnn", "lenet5", "cpu", 1000));
  for (const char* field : {"framework", "version", "device", "workload", "phase", "dtype", "mode", "batch", "threads",
                            "median_ms", "min_ms", "samples_per_s", "loss", "peak_bytes"})
    EXPECT_TRUE(row_json.contains(field)) << field;
}

TEST(BenchRows, OfAnotherFormAreErrors) {
  json incomplete = to_json(row("libdnn", "lenet5", "cpu", 1000)), text = incomplete, still = incomplete;
  incomplete.erase("dtype"), text["batch"] = "32", still["median_ms"] = 0;
  const std::string foreign = "benchmark: a row is not what bench writes ([json.exception.";
  EXPECT_THAT(format_error([&] { row_of(incomplete); }), AllOf(StartsWith(foreign), HasSubstr("'dtype' not found)")));
  EXPECT_THAT(format_error([&] { row_of(text); }), AllOf(StartsWith(foreign), HasSubstr("must be number")));
  EXPECT_ERROR(row_of(still), FormatError, "benchmark: a step takes 0 ms, expected more than 0");
}

TEST(BenchRows, OfAFileAreItsLinesOfJson) {
  const std::string path = ::testing::TempDir() + "bench-rows.jsonl";
  std::ofstream(path) << "a line of text\n" << to_json(row("libdnn", "mlp", "cpu", 10)) << "\n";
  EXPECT_EQ(read_rows(path).size(), 1u);
  std::ofstream(path, std::ios::app) << "{\"framework\": \n";
  EXPECT_THAT(format_error([&] { read_rows(path); }),
              StartsWith("benchmark: line 3 of " + path + ": [json.exception."));
  EXPECT_ERROR(read_rows("none.jsonl"), IoError, "benchmark: cannot open none.jsonl, expected a file of JSON lines");
}

TEST(BenchRows, OfSeveralRoundsBecomeTheirMedians) {
  std::vector<Row> rows{row("libdnn", "mlp", "cpu", 100), row("libdnn", "lenet5", "cpu", 7),
                        row("libdnn", "mlp", "cpu", 300), row("libdnn", "mlp", "cpu", 200)};
  rows[2].peak_bytes = 5 << 20;
  const std::vector<Row> once = medians(rows);
  ASSERT_EQ(once.size(), 2u);
  EXPECT_EQ(once[0].samples_per_s, 200);
  EXPECT_EQ(once[0].peak_bytes, 5 << 20);
  EXPECT_EQ(once[1].workload, "lenet5");
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
}

// ---- what a step costs ----------------------------------------------------------------------------------------------

Cost cost(const std::string& name, bool train, int64_t batch) {
  const std::unique_ptr<Layer> net = workload(name).network();
  return cost_of(*net, workload(name), train, batch);
}

TEST(BenchCost, OfAForwardPassIsThatOfTheSummary) {
  for (const char* name : {"mlp", "lenet5", "lstm-rows", "resnet20-cifar"}) {
    const std::unique_ptr<Layer> net = workload(name).network();
    const auto macs = static_cast<double>(summary(*net, workload(name).sample).macs);
    EXPECT_GT(macs, 0) << name;
    EXPECT_EQ(cost(name, false, 4).flops, 2 * macs * 4) << name;
  }
}

TEST(BenchCost, OfTrainingHasNoGradientOfTheImage) {
  const double forward = cost("lenet5", false, 1).flops, first = 2.0 * 6 * 25 * 28 * 28;
  EXPECT_EQ(cost("lenet5", true, 1).flops, 3 * forward - first);
  const double recurrent = cost("lstm-rows", false, 1).flops, rows = 2.0 * 28 * 28 * 512;
  EXPECT_EQ(cost("lstm-rows", true, 1).flops, 3 * recurrent - rows);
}

TEST(BenchCost, OfTrafficCountsEachTensorOfALayerOnce) {
  const double parameters = 101770, forward = 784 + 128 + 2 * 128 + 128 + 10;
  EXPECT_EQ(cost("mlp", false, 32).layer_bytes, 4 * (32 * forward + parameters));
  const double dropout = 2 * 128, backward = (128 + 784) + 3 * 128 + 3 * 128 + (10 + 2 * 128);
  EXPECT_EQ(cost("mlp", true, 32).layer_bytes, 4 * (32 * (forward + dropout + backward) + (1 + 2 + 7) * parameters));
}

// ---- measuring ------------------------------------------------------------------------------------------------------

TEST(BenchMeasure, ACaseHasAllItsNumbers) {
  const Row train = measure({.workload = "mlp", .batch = 4, .seconds = 0});
  EXPECT_EQ(train.framework, "libdnn");
  EXPECT_EQ(train.batch, 4);
  EXPECT_TRUE(train.min_ms > 0 && train.min_ms <= train.median_ms && train.median_ms <= train.p90_ms &&
              train.p90_ms <= train.max_ms);
  EXPECT_DOUBLE_EQ(train.samples_per_s, 4 / train.median_ms * 1e3);
  ASSERT_TRUE(train.loss);
  EXPECT_TRUE(std::isfinite(*train.loss));
  EXPECT_GE(train.peak_bytes, 0);
  EXPECT_EQ(train.threads, system_report().cpu.threads);
  const Row infer = measure({.workload = "mlp", .train = false, .batch = 4, .seconds = 0});
  EXPECT_FALSE(infer.loss);
  EXPECT_EQ(workload("mlp").batch(Device::cpu()), measure({.workload = "mlp", .seconds = 0}).batch);
}

TEST(BenchMeasure, WhatCannotBeMeasuredIsAnError) {
  EXPECT_ERROR(measure({.workload = "lenet6"}), ArgumentError,
               "there is no workload 'lenet6', expected one of mlp, lenet5, lstm-rows, resnet20-cifar, alexnet2012, "
               "alexnet, resnet18, resnet50");
  EXPECT_ERROR(measure({.workload = "mlp", .precision = "tf32"}), ArgumentError,
               "precision is tf32, expected fp32 (device cpu)");
  EXPECT_ERROR(check({.workload = "mlp", .device = Device::cuda(), .precision = "fp8"}), ArgumentError,
               "precision is fp8, expected tf32 or fp32 or bf16 or fp16 (device cuda:0)");
  EXPECT_ERROR(measure({.workload = "mlp", .mode = "graph"}), ArgumentError, "mode is graph, expected eager");
  EXPECT_ERROR(check({.workload = "mlp", .device = Device::cuda(), .mode = "compile"}), ArgumentError,
               "mode is compile, expected eager, graph or graph16");
  EXPECT_ERROR(measure({.workload = "mlp", .batch = -1}), ArgumentError, "batch is -1, expected 0 or more");
  EXPECT_ERROR(check({.workload = "mlp", .seconds = -1}), ArgumentError, "seconds are -1.000000, expected 0 or more");
}

TEST(BenchMeasure, AMachineComesBackFromJsonAndSaysWhatItCan) {
  const Machine machine{.device = "cpu",
                        .name = "a processor",
                        .flops_per_s = {{"fp32", 2.21e11}},
                        .fastest = {{"fp32", "product of 2048 x 2048"}},
                        .bytes_per_s = 2.41e10,
                        .copied = 256 << 20};
  EXPECT_EQ(describe(machine_of(to_json(machine))),
            "cpu: a processor: 221 GFLOP/s in fp32 (product of 2048 x 2048), 24.1 GB/s (copy of 256 MiB, read and "
            "written)");
}

// This program runs itself: the second time it tells its threads, and dies.
TEST(BenchChild, TellsWhatItPrintedAndHowItEnded) {
  constexpr const char* sign = "DNN_BENCH_TEST_CHILD";
  if (std::getenv(sign) != nullptr) {
    std::cout << "threads: " << std::getenv("OMP_NUM_THREADS") << std::endl;
    std::raise(SIGKILL);
  }
  setenv(sign, "1", 1);
  const ChildResult killed = run_child({"--gtest_filter=BenchChild.*"}, 3);
  EXPECT_THAT(killed.output, HasSubstr("threads: 3\n"));
  EXPECT_EQ(killed.failure, "it was ended by signal 9 (Killed)");
  unsetenv(sign);
  EXPECT_EQ(run_child({"--gtest_list_tests"}, 0).failure, "");
}

// ---- the table ------------------------------------------------------------------------------------------------------

TEST(BenchTable, NumbersHaveThreeDigits) {
  EXPECT_EQ(scaled(2.214e11), "221 G");
  EXPECT_EQ(scaled(999.6), "1.00 k");
  EXPECT_EQ(scaled(0), "0 ");
  EXPECT_EQ(binary_scaled(256 << 20), "256 Mi");
  EXPECT_EQ(rounded(0.058321), "0.0583");
  EXPECT_EQ(rounded(24.13), "24.1");
  EXPECT_EQ(rounded(1234567.8), "1,234,568");
}

TEST(BenchTable, HasALineForEachCase) {
  EXPECT_EQ(table_head() + table_line(row("libdnn", "lenet5", "cpu", 16000)) +
                table_line(row("pytorch", "lenet5", "cuda", 16000)),
            "workload       phase device dtype mode    batch         ms   samples/s      spread    FLOP/s        "
            "bytes/s          memory\n"
            "lenet5         train cpu    fp32  eager      32       2.00      16,000   -10 +20 %     500 G 250 %   "
            "50.0 G 200 %  3.00 MiB\n"
            "lenet5         train cuda   fp32  eager      32       2.00      16,000       -10 %\n");
}

TEST(BenchTable, SpeedUpIsThatOfTheFastestCases) {
  EXPECT_EQ(speed_up_table({row("libdnn", "mlp", "cpu", 100), row("libdnn", "lenet5", "cuda", 5)}), "");
  EXPECT_EQ(speed_up_table({row("libdnn", "mlp", "cpu", 100), row("libdnn", "mlp", "cpu", 200, 64),
                            row("libdnn", "mlp", "cuda", 5000)}),
            "workload       phase      CPU (batch)    GPU (batch, dtype)  speed-up\n"
            "mlp            train         200 (64)      5,000 (32, fp32)      25.0\n");
}

// ---- the report -----------------------------------------------------------------------------------------------------

// The first fault of a text as XML, empty when there is none: tags that do not match, a bare < or &.
std::string xml_fault(const std::string& text) {
  std::vector<std::string> open;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&' && text.find(';', i) - i > 5) return "a bare & before " + text.substr(i, 20);
    if (text[i] != '<') continue;
    const size_t end = text.find('>', i);
    const std::string tag = text.substr(i + 1, end - i - 1), name = tag.substr(0, tag.find_first_of(" \n/", 1));
    i = end;
    if (tag.starts_with('!') || tag.ends_with('/')) continue;
    if (!tag.starts_with('/')) {
      open.push_back(name);
    } else if (open.empty() || "/" + open.back() != tag) {
      return "<" + tag + "> closes " + (open.empty() ? "nothing" : open.back());
    } else {
      open.pop_back();
    }
  }
  return open.empty() ? "" : open.back() + " is not closed";
}

TEST(BenchReport, ShowsEveryPictureAndIsWellFormed) {
  EXPECT_EQ(xml_fault("<a><b>x</a></b>"), "</a> closes b");
  std::vector<Row> ours{row("libdnn", "lenet5", "cpu", 16000), row("libdnn", "lenet5", "cpu", 18000, 64),
                        row("libdnn", "resnet50", "cpu", 8), row("libdnn", "lenet5", "cuda", 500000)};
  std::vector<Row> peers{row("pytorch", "lenet5", "cpu", 8000), row("pytorch", "resnet50", "cpu", 9)};
  ours[0].mode = "<eager> & \"more\"";
  const std::string page = report({.ours = ours, .peers = peers, .machines = {}});
  EXPECT_EQ(xml_fault(page), "");
  for (const char* title : {"<h2>Throughput</h2>", "<h2>Against the peer</h2>", "<h2>Roofline</h2>",
                            "<h2>Scaling over the batch</h2>", "<h2>All cases</h2>"})
    EXPECT_THAT(page, HasSubstr(title));
  for (const char* text : {"libdnn 1.0, pytorch 1.0", "GPU, libdnn", "CPU, PyTorch", ">2.00</text>",
                           "class=\"lost\" text-anchor=\"start\">0.89</text>", "prefers-color-scheme: dark"})
    EXPECT_THAT(page, HasSubstr(text));
  for (const char* outside : {"<script", "href=", "src=", "url("}) EXPECT_THAT(page, Not(HasSubstr(outside)));
}

TEST(BenchReport, LeavesOutWhatWasNotMeasured) {
  const std::string page = report({.ours = {row("libdnn", "mlp", "cpu", 100)}, .peers = {}, .machines = {}});
  EXPECT_EQ(xml_fault(page), "");
  EXPECT_THAT(page, Not(HasSubstr("Against the peer")));
  EXPECT_THAT(page, Not(HasSubstr("Scaling")));
}

TEST(BenchReport, PairsEqualWorkInTheBestModes) {
  Row other = row("pytorch", "lenet5", "cpu", 9000), threads = row("pytorch", "lenet5", "cpu", 20000);
  other.mode = "channels_last", threads.threads = 1;
  const std::vector<Pair> found =
      pairs({row("libdnn", "lenet5", "cpu", 18000)}, {row("pytorch", "lenet5", "cpu", 8000), other, threads});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].peer.mode, "channels_last");
  EXPECT_EQ(found[0].ratio, 2);
  EXPECT_FALSE(found[0].memory);
}

TEST(BenchReport, PairsAreComparedRoundByRound) {
  std::vector<Row> ours, peers;
  for (const auto& [a, b] : {std::pair{100.0, 50.0}, {300.0, 100.0}, {80.0, 80.0}}) {
    ours.push_back(row("libdnn", "mlp", "cpu", a)), peers.push_back(row("pytorch", "mlp", "cpu", b));
    ours.back().round = peers.back().round = std::ssize(ours) - 1;
    peers.back().peak_bytes = 6 << 20;
  }
  std::vector<Row> modes = peers;
  modes.push_back(row("pytorch", "mlp", "cpu", 1)), modes.back().mode = "compile", modes.back().peak_bytes = 60 << 20;
  const std::vector<Pair> found = pairs(ours, modes);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].rounds, 3u);
  EXPECT_EQ(found[0].ratio, 2);
  EXPECT_EQ(found[0].low, 1);
  EXPECT_EQ(found[0].high, 3);
  EXPECT_EQ(found[0].memory, 0.5);
  for (Row& peer : peers) peer.round += 3;
  EXPECT_TRUE(pairs(ours, peers).empty());
}

TEST(BenchReport, APictureStandsAlone) {
  const std::string picture =
      standalone(ratio_chart(pairs({row("libdnn", "mlp", "cpu", 2)}, {row("pytorch", "mlp", "cpu", 1)})));
  EXPECT_EQ(xml_fault(picture), "");
  EXPECT_THAT(picture, AllOf(StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""), HasSubstr("<style>")));
}

}  // namespace
}  // namespace dnn::test
