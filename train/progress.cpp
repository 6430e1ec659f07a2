// A line is a list of parts, each with a rank. On a narrow terminal the bar shrinks first, then the parts of the
// highest rank go.
#include "dnn/train/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

#include "dnn/train/trainer.h"

namespace dnn {
namespace {

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value && *value;
}

// The file descriptor behind a standard stream, -1 for any other.
int descriptor_of(const std::ostream& stream) {
  if (&stream == &std::cout) return STDOUT_FILENO;
  if (&stream == &std::cerr || &stream == &std::clog) return STDERR_FILENO;
  return -1;
}

bool is_terminal(const std::ostream& stream) {
  const int descriptor = descriptor_of(stream);
  const char* kind = std::getenv("TERM");
  return descriptor >= 0 && ::isatty(descriptor) && !(kind && std::string_view(kind) == "dumb");
}

// 7.5 -> "7.5 s", 75 -> "1:15", 3675 -> "1:01:15".
std::string duration(double seconds) {
  if (seconds < 59.95) return fmt::format("{:.1f} s", seconds);
  const int64_t s = std::llround(std::min(seconds, 1e9));
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

// The same in whole seconds: 7.5 -> "0:08".
std::string countdown(double seconds) {
  return seconds < 59.5 ? fmt::format("0:{:02}", std::llround(seconds)) : duration(seconds);
}

std::string number(double x) {
  const double size = std::fabs(x);
  return size == 0 || (size >= 1e-3 && size < 1e4) || !std::isfinite(x) ? fmt::format("{:.4f}", x)
                                                                        : fmt::format("{:.3e}", x);
}

std::string percent(double share) { return fmt::format("{:.2f} %", 100 * share); }

std::string speed(double samples_per_second) {
  return fmt::format("{:.{}f} samples/s", samples_per_second, samples_per_second < 10 ? 2 : 0);
}

// "epoch  3/12", as wide for each epoch.
std::string epoch_text(int64_t epoch, int64_t last) {
  const std::string total = std::to_string(last);
  return fmt::format("epoch {:>{}}/{}", epoch, total.size(), total);
}

// "  64/3000", as wide for each step.
std::string progress_of(int64_t samples, int64_t all) {
  const std::string total = std::to_string(all);
  return fmt::format("{:>{}}/{}", samples, total.size(), total);
}

struct Part {
  std::string text;
  int rank;  // 0 stays on the narrowest terminal
};

constexpr std::string_view gap = "  ";
constexpr int widest_bar = 30, narrowest_bar = 10;  // with brackets

int width_of(const std::vector<Part>& parts) {
  size_t width = 0;
  for (const Part& part : parts) width += part.text.size() + (width > 0 ? gap.size() : 0);
  return static_cast<int>(width);
}

void shorten(std::vector<Part>& parts, int width) {
  while (width_of(parts) > width && parts.size() > 1) {
    const auto by_rank = [](const Part& a, const Part& b) { return a.rank < b.rank; };
    const auto last = std::max_element(parts.begin(), parts.end(), by_rank);
    if (last->rank == 0) return;
    parts.erase(last);
  }
}

std::string bar_text(double share, int width, bool color) {
  const int inner = width - 2;
  const int full = std::clamp(static_cast<int>(share * inner), 0, inner);
  std::string done(static_cast<size_t>(full), '=');
  if (full < inner) done += '>';
  const std::string rest(static_cast<size_t>(inner) - done.size(), ' ');
  return color ? fmt::format("[\x1b[32m{}\x1b[0m{}]", done, rest) : fmt::format("[{}{}]", done, rest);
}

}  // namespace

Progress::Progress() : Progress(ProgressOptions{}) {}

Progress::Progress(const ProgressOptions& options)
    : stream_(options.stream ? options.stream : &std::cout),
      mode_(options.mode),
      width_(options.width),
      interval_(options.interval) {
  const bool terminal = is_terminal(*stream_);
  if (mode_ == automatic) mode_ = terminal ? bar : lines;
  color_ = options.color.value_or(terminal && !is_set("NO_COLOR"));
}

int Progress::width() const {
  if (width_ > 0) return width_;
  winsize size{};
  const int descriptor = descriptor_of(*stream_);
  if (descriptor >= 0 && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

void Progress::on_epoch_begin(Trainer& trainer) {
  next_draw_ = interval_;
  validated_ = false;
  if (mode_ == bar) draw(trainer, false);
}

void Progress::on_step_end(Trainer& trainer) {
  if (mode_ != bar) return;
  const double now = trainer.seconds();
  if (now < next_draw_ && trainer.batch() < trainer.batches()) return;
  next_draw_ = now + interval_;
  draw(trainer, false);
}

void Progress::on_validation_begin(Trainer& trainer) {
  validated_ = true;
  if (mode_ == bar) draw(trainer, true);
}

void Progress::draw(const Trainer& trainer, bool validating) {
  const double share = static_cast<double>(trainer.samples()) / static_cast<double>(trainer.epoch_samples());
  const double rate = trainer.samples_per_second();
  const int64_t left = trainer.epoch_samples() - trainer.samples();
  std::vector<Part> parts{{epoch_text(trainer.epoch() + 1, trainer.last_epoch()), 0},
                          {fmt::format("{:3.0f} %", std::floor(100 * share)), 1},
                          {progress_of(trainer.samples(), trainer.epoch_samples()), 5}};
  if (rate > 0) parts.push_back({speed(rate), 6});
  if (validating)
    parts.push_back({"validating", 2});
  else if (rate > 0)
    parts.push_back({"ETA " + countdown(static_cast<double>(left) / rate), 2});
  if (trainer.samples() > 0) {
    parts.push_back({"loss " + number(trainer.loss()), 3});
    const double accuracy = trainer.accuracy();
    if (!std::isnan(accuracy)) parts.push_back({"accuracy " + percent(accuracy), 4});
    for (const auto& metric : trainer.options().metrics)
      if (!validating) parts.push_back({metric->name() + " " + number(metric->value()), 7});
  }
  const int columns = width() - 1;  // the last column would wrap on some terminals
  shorten(parts, columns);
  const int room = columns - width_of(parts) - static_cast<int>(gap.size());
  std::string line = parts[0].text;
  if (room >= narrowest_bar) line.append(gap).append(bar_text(share, std::min(room, widest_bar), color_));
  for (size_t i = 1; i < parts.size(); ++i) line.append(gap).append(parts[i].text);
  *stream_ << '\r' << line << "\x1b[K" << std::flush;
  open_line_ = true;
}

void Progress::on_epoch_end(Trainer& trainer, const EpochStats& stats) {
  if (mode_ == off) return;
  std::string line = epoch_text(stats.epoch, trainer.last_epoch());
  const auto add = [&](const std::string& text) { line.append(gap).append(text); };
  const auto add_results = [&](const std::string& prefix, double loss, double accuracy, const auto& metrics) {
    add(prefix + "loss " + number(loss));
    if (!std::isnan(accuracy)) add(prefix + "accuracy " + percent(accuracy));
    for (const auto& [name, value] : metrics) add(prefix + name + " " + number(value));
  };
  add(duration(stats.seconds));
  add(speed(stats.samples_per_second));
  add_results("", stats.loss, stats.accuracy, stats.metrics);
  if (validated_) add_results("val ", stats.val_loss, stats.val_accuracy, stats.val_metrics);
  *stream_ << (mode_ == bar ? "\r" : "") << line << (mode_ == bar ? "\x1b[K\n" : "\n") << std::flush;
  open_line_ = false;
}

void Progress::on_fit_end(Trainer& trainer) {
  end_line();
  if (mode_ == off || !trainer.interrupted()) return;
  const std::string& checkpoint = trainer.options().checkpoint;
  *stream_ << fmt::format("interrupted after step {}{}\n", trainer.step(),
                          checkpoint.empty() ? "" : ", the checkpoint is " + checkpoint)
           << std::flush;
}

void Progress::on_fit_failed(Trainer&) noexcept {
  try {
    end_line();
  } catch (...) {  // a stream that throws must not hide why training failed
  }
}

// What comes next must not stand behind the bar.
void Progress::end_line() {
  if (open_line_) *stream_ << '\n' << std::flush;
  open_line_ = false;
}

}  // namespace dnn
