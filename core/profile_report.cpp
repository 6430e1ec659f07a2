// What a profiler shows: lists, tables, and the trace in Chrome's format, whose JSON is few enough kinds of values to
// be written by hand.
#include <algorithm>

#include "core/profile_data.h"
#include "core/text.h"
#include "dnn/error.h"
#include "dnn/io.h"

namespace dnn {

using detail::Profile;

ProfileTotal& ProfileTotal::operator+=(const ProfileTotal& other) {
  calls += other.calls, seconds += other.seconds, flops += other.flops, bytes += other.bytes;
  return *this;
}

const Profile& Profiler::finished(const char* where) const {
  if (running()) throw ArgumentError(fmt::format("Profiler: {} while it is running, expected after its end", where));
  profile_->complete();
  return *profile_;
}

const std::vector<ProfiledOperation>& Profiler::operations() const { return finished("operations").operations; }

double Profiler::seconds() const { return finished("seconds").seconds; }

// ---- tables --------------------------------------------------------------------------------------------------------

namespace {

std::vector<ProfileRow> rows_by(const std::vector<ProfiledOperation>& operations, std::string ProfiledOperation::*key) {
  std::vector<ProfileRow> rows;
  std::unordered_map<std::string, size_t> places;
  for (const ProfiledOperation& operation : operations) {
    const auto [found, added] = places.emplace(operation.*key, rows.size());
    if (added) rows.emplace_back().name = operation.*key;
    ProfileRow& row = rows[found->second];
    (operation.backward ? row.backward : row.forward) +=
        {.calls = 1, .seconds = operation.seconds, .flops = operation.flops, .bytes = operation.bytes};
  }
  return rows;
}

// 12.3456 -> "12.346", nothing for what did not run.
std::string number(double value, int digits, bool shown = true) {
  return shown ? fmt::format("{:.{}f}", value, digits) : "";
}

std::string table_of(const char* title, const std::vector<ProfileRow>& rows, double seconds, int64_t steps) {
  if (steps < 1) throw ArgumentError(fmt::format("Profiler: steps is {}, expected at least 1", steps));
  const auto each = static_cast<double>(steps);
  ProfileRow all;
  all.name = "all operations";
  for (const ProfileRow& row : rows) all.forward += row.forward, all.backward += row.backward;
  const double whole = all.total().seconds;

  std::vector<ProfileTotal ProfileRow::*> passes{&ProfileRow::forward};
  if (all.backward.calls > 0) passes.push_back(&ProfileRow::backward);
  const std::vector<std::string> columns{"calls", "ms", "share", "GFLOP/s", "GB/s"};
  std::vector<std::vector<std::string>> table{{title}};
  for (size_t i = 0; i < passes.size(); ++i) table[0].insert(table[0].end(), columns.begin(), columns.end());
  const auto add = [&](const ProfileRow& row) {
    std::vector<std::string>& line = table.emplace_back(1, row.name.empty() ? "(no layer)" : row.name);
    for (const auto pass : passes) {
      const ProfileTotal& t = row.*pass;
      const bool ran = t.calls > 0;
      line.push_back(number(static_cast<double>(t.calls) / each, t.calls % steps == 0 ? 0 : 1, ran));
      line.push_back(number(t.seconds / each * 1e3, 3, ran));
      line.push_back(ran && whole > 0 ? number(t.seconds / whole * 100, 1) + "%" : "");
      line.push_back(number(t.flops_per_second() / 1e9, 1, t.flops > 0));
      line.push_back(number(t.bytes_per_second() / 1e9, 1, t.bytes > 0));
    }
  };
  for (const ProfileRow& row : rows) add(row);
  add(all);

  std::vector<size_t> widths(table[0].size());
  for (const auto& cells : table)
    for (size_t i = 0; i < cells.size(); ++i) widths[i] = std::max(widths[i], cells[i].size());
  std::string text(widths[0], ' ');
  size_t length = widths[0];
  for (size_t i = 0; i < passes.size(); ++i) {
    size_t width = 2 * columns.size();
    for (size_t j = 0; j < columns.size(); ++j) width += widths[1 + i * columns.size() + j];
    text += fmt::format("{:>{}}", i == 0 ? "forward" : "backward", width);
    length += width;
  }
  const std::string rule = std::string(length, '-') + "\n";
  text += "\n";
  for (size_t i = 0; i < table.size(); ++i) {
    if (i == 1 || i + 1 == table.size()) text += rule;
    std::string line = fmt::format("{:<{}}", table[i][0], widths[0]);
    for (size_t j = 1; j < widths.size(); ++j) line += fmt::format("  {:>{}}", table[i][j], widths[j]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text + fmt::format("operations took {:.3f} ms of {:.3f} ms\n", whole / each * 1e3, seconds / each * 1e3);
}

}  // namespace

std::vector<ProfileRow> Profiler::by_layer() const {
  return rows_by(finished("by_layer").operations, &ProfiledOperation::layer);
}

std::vector<ProfileRow> Profiler::by_operation() const {
  return rows_by(finished("by_operation").operations, &ProfiledOperation::name);
}

std::string Profiler::layer_table(int64_t steps) const {
  const Profile& profile = finished("layer_table");
  return table_of("layer", by_layer(), profile.seconds, steps);
}

std::string Profiler::operation_table(int64_t steps) const {
  const Profile& profile = finished("operation_table");
  std::vector<ProfileRow> rows = by_operation();
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.total().seconds > b.total().seconds; });
  return table_of("operation", rows, profile.seconds, steps);
}

// ---- the trace -----------------------------------------------------------------------------------------------------

namespace {

// Number of bytes of the UTF-8 character that begins there, 0 when there is none.
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned first = byte(0), second = byte(1);
  const size_t length = first < 0x80   ? 1
                        : first < 0xc2 ? 0
                        : first < 0xe0 ? 2
                        : first < 0xf0 ? 3
                        : first < 0xf5 ? 4
                                       : 0;
  for (size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  // Neither longer than needed, nor half of a surrogate pair, nor beyond the last character.
  const bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
                     (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f);
  return wrong ? 0 : length;
}

// A string in JSON; bytes that are no UTF-8 become U+FFFD.
std::string quoted(std::string_view text) {
  std::string result = "\"";
  while (!text.empty()) {
    const size_t length = utf8_length(text);
    if (length == 0)
      result += "\\ufffd";
    else if (text[0] == '"' || text[0] == '\\')
      result += {'\\', text[0]};
    else if (static_cast<unsigned char>(text[0]) < 0x20)
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(text[0]));
    else
      result += text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return result + "\"";
}

// Rows of the picture: the host's, then one for each GPU.
int row_of(Device device) { return device.is_cpu() ? 0 : 1 + device.index(); }

std::string row_name(int row, const std::string& name) {
  return fmt::format(R"({{"name":"thread_name","ph":"M","pid":0,"tid":{},"args":{{"name":{}}}}})", row, quoted(name));
}

// From `start` on, in seconds.
std::string event_text(std::string_view name, const char* kind, int row, double start, double seconds,
                       const std::string& arguments) {
  return fmt::format(R"({{"name":{},"cat":"{}","ph":"X","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{{}}}}})",
                     quoted(name), kind, row, start * 1e6, seconds * 1e6, arguments);
}

std::string text_of(const ProfiledOperation& operation) {
  std::string shapes;
  for (const Shape& shape : operation.shapes) shapes += (shapes.empty() ? "" : ",") + quoted(shape.str());
  return event_text(operation.name, operation.backward ? "backward" : "forward", row_of(operation.device),
                    operation.start, operation.seconds,
                    fmt::format(R"("layer":{},"flops":{},"bytes":{},"shapes":[{}])", quoted(operation.layer),
                                operation.flops, operation.bytes, shapes));
}

}  // namespace

void Profiler::chrome_trace(const std::string& path) const {
  const Profile& profile = finished("chrome_trace");
  write_atomically(path, [&](OutputFile& file) {
    const std::string separator = ",\n";
    file.write("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n" + row_name(0, "host"));
    for (const auto& [index, mark] : profile.gpu_origins)
      file.write(separator + row_name(row_of(Device::cuda(index)), Device::cuda(index).str()));
    for (const detail::ProfiledSpan& span : profile.spans) {
      const std::string& part = profile.parts[span.part];
      file.write(separator + (span.operation != nullptr
                                  ? event_text(fmt::format("{} backward", span.operation), "step", 0, span.start,
                                               span.end - span.start, "\"layer\":" + quoted(part))
                                  : event_text(part, "layer", 0, span.start, span.end - span.start, "")));
    }
    for (const ProfiledOperation& operation : profile.operations) file.write(separator + text_of(operation));
    file.write("\n]}\n");
  });
}

}  // namespace dnn
