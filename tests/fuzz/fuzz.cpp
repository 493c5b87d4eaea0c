#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

namespace gmc::fuzz {

void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "finding: %s\n", what.c_str());
  std::abort();
}

void require_place(std::string_view error) {
  const std::string text(error);
  // Names may hold any of these words again.
  const size_t byte = error.find(": byte "), expected = error.find(": expected "), got = error.rfind(", got ");
  require(byte < expected && expected < got && got != std::string_view::npos, "a refusal without its place: " + text);
  const bool plain = std::all_of(error.begin(), error.end(), [](char c) { return c >= ' ' && c <= '~'; });
  require(plain, "a refusal that holds control characters: " + text);
}

void require_whole(const HostTensor& tensor) {
  require(tensor.bytes.size() == static_cast<size_t>(byte_size(tensor.dtype, tensor.shape)),
          fmt::format("{} bytes for {} of {}", tensor.bytes.size(), to_string(tensor.shape), name_of(tensor.dtype)));
  if (tensor.dtype != DType::boolean) return;
  require(std::all_of(tensor.bytes.begin(), tensor.bytes.end(), [](std::byte b) { return b <= std::byte{1}; }),
          "a bool that is neither 0 nor 1");
}

bool equal(const HostTensor& a, const HostTensor& b) {
  return a.dtype == b.dtype && a.shape == b.shape && a.bytes == b.bytes;
}

std::string_view text_of(files::Bytes bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Seed seed_of(std::string_view text) {
  Seed seed(text.size());
  if (!text.empty()) std::memcpy(seed.data(), text.data(), text.size());
  return seed;
}

HostTensor filled(DType dtype, Shape shape) {
  HostTensor result(dtype, std::move(shape));
  for (size_t i = 0; i < result.bytes.size(); ++i)
    result.bytes[i] = std::byte(dtype == DType::boolean ? i % 2 : i * 37 + 11);
  return result;
}

}  // namespace gmc::fuzz

// `NAME_fuzz --seeds FOLDER` writes the seeds and ends; all else is libFuzzer's.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::string_view((*argv)[1]) != "--seeds") return 0;
  int number = 0;
  for (const gmc::fuzz::Seed& seed : gmc::fuzz::seeds()) {
    std::ofstream file(fmt::format("{}/seed{}", (*argv)[2], number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
    if (!file.flush()) std::exit(1);
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  try {
    gmc::fuzz::read({reinterpret_cast<const std::byte*>(data), size});
  } catch (const gmc::Error& error) {
    gmc::fuzz::require(*error.what() != 0, "a refusal without a text");
  }
  return 0;
}
