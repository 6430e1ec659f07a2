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

// A .tar.gz file as its publisher describes it, and the files that are wanted out of it.
struct RemoteArchive {
  std::string name;
  std::vector<std::string> urls;   // tried in this order
  int64_t size;                    // of the archive
  std::string md5;                 // of the archive, in hexadecimal
  std::string inside;              // the folder in the archive that holds the files
  std::vector<std::string> files;  // their names there
};

// Downloads the file into a folder, which is made if needed, with the curl command; returns its path. There is never a
// half or wrong file of that name. Throws IoError that gives the reason for each address.
std::string download(const RemoteFile& file, const std::string& folder);

// Downloads the archive and leaves its files in a folder, which is made if needed, with the commands curl, md5sum and
// tar. There is never a half or wrong file of those names. Throws IoError that gives the reason for each address.
void download(const RemoteArchive& archive, const std::string& folder);

}  // namespace dnn::detail
