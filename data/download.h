// Files from the network, kept in a folder of the user.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dnn::detail {

// A gzip file and what it must contain.
struct RemoteFile {
  std::string name;
  std::vector<std::string> urls;  // tried in this order
  int64_t size;                   // of the contents, not compressed
  uint32_t crc32;                 // of the contents
};

// $XDG_CACHE_HOME/dnn, else ~/.cache/dnn; empty when neither variable is set.
std::string cache_folder();

// Downloads the file into a folder, which is made if needed, with the curl command; returns its path. There is never a
// half or wrong file of that name. Throws IoError that gives the reason for each address.
std::string download(const RemoteFile& file, const std::string& folder);

}  // namespace dnn::detail
