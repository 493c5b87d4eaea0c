// Event files of TensorBoard: records as TensorFlow writes them (tensorflow/core/lib/io/record_writer.h) of the message
// Event (tensorflow/core/util/event.proto).
//
//   u64 length | u32 masked CRC-32C of the length | message | u32 masked CRC-32C of the message
#pragma once

#include "runtime/files/reader.h"

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace gmc::tool {

// CRC-32C (RFC 3720, appendix B.4), rotated right by 15 bits and offset, as records hold it.
uint32_t masked_crc(files::Bytes);

class EventFile {
public:
  // Makes `folder`/events.out.tfevents.SECONDS.gmc; throws `Error` if it cannot.
  explicit EventFile(const std::string& folder);

  void scalars(int64_t step, const std::vector<std::pair<std::string, double>>& values);
  void image(int64_t step, const std::string& tag, files::Bytes png);
  void text(int64_t step, const std::string& tag, const std::string& text);
  // Hands what was written to the system. Throws `Error` if the disk is full.
  void flush();

private:
  void record(const std::string& message);

  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
};

}  // namespace gmc::tool
