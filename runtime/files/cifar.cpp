#include "runtime/files/cifar.h"

#include <algorithm>

namespace gmc::files {

Cifar parse_cifar(Bytes bytes, const std::string& source) {
  constexpr int64_t pixels = 3 * 32 * 32, record = 1 + pixels;
  Reader file(bytes, source);
  const int64_t count = file.size() / record;
  if (file.size() % record != 0)
    file.refuse(count * record, "record", fmt::format("{} bytes", record), fmt::to_string(file.size() % record));
  Cifar out{HostTensor(DType::u8, {count, 3, 32, 32}), {}};
  for (int64_t i = 0; i < count; ++i) {
    const auto label = file.little<uint8_t>("label");
    if (label > 9) file.refuse(i * record, "label", "0 to 9", fmt::to_string(label));
    out.labels.push_back(label);
    const Bytes image = file.take(pixels, "pixels");
    std::copy(image.begin(), image.end(), out.images.bytes.begin() + i * pixels);
  }
  return out;
}

}  // namespace gmc::files
