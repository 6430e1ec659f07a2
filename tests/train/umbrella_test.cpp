// dnn/dnn.h is all of libdnn: no public header is forgotten.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

namespace {

// The public headers by name ("dnn/tensor.h"), with their paths.
std::map<std::string, std::string> public_headers() {
  std::map<std::string, std::string> headers;
  std::ifstream list(DNN_PUBLIC_HEADERS);
  for (std::string path; std::getline(list, path);)
    if (!path.empty()) headers[path.substr(path.rfind("/include/") + 9)] = path;
  return headers;
}

void gather_includes(const std::string& name, const std::map<std::string, std::string>& headers,
                     std::set<std::string>& found) {
  if (!headers.count(name) || !found.insert(name).second) return;
  std::ifstream text(headers.at(name));
  const std::string start = "#include \"";
  for (std::string line; std::getline(text, line);)
    if (line.starts_with(start))
      gather_includes(line.substr(start.size(), line.rfind('"') - start.size()), headers, found);
}

TEST(Umbrella, IncludesEveryPublicHeader) {
  const std::map<std::string, std::string> headers = public_headers();
  ASSERT_TRUE(headers.count("dnn/tensor.h"));
  std::set<std::string> found;
  gather_includes("dnn/dnn.h", headers, found);
  for (const auto& [name, path] : headers) EXPECT_TRUE(found.count(name)) << "dnn/dnn.h does not include " << name;
}

}  // namespace
