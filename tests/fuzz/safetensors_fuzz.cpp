#include "runtime/files/safetensors.h"

#include "tests/fuzz/fuzz.h"

namespace gmc::fuzz {

std::vector<Seed> seeds() {
  TensorMap all;
  for (const DType dtype : {f64, f32, f16, bf16, i64, i32, i8, u8, boolean})
    all[fmt::format("of {}", name_of(dtype))] = filled(dtype, {3, 1});
  TensorMap few;
  few["scalar"] = filled(f32, {});
  few["empty"] = filled(f32, {2, 0, 3});
  TensorMap named;
  for (const char* name : {"", "../x", "/etc/x", "\"\n\xc3\xa9\x1b[2J"}) named[name] = filled(u8, {2});
  return {files::format_safetensors({}), files::format_safetensors(all, {{"format", "pt"}}),
          files::format_safetensors(few), files::format_safetensors(named, {{"odd \"key\"", "two\nlines"}})};
}

void read(files::Bytes bytes) {
  TensorMap tensors;
  files::Metadata metadata;
  if (!reads([&] { tensors = files::parse_safetensors(bytes, "file", &metadata); })) return;
  for (const auto& [name, tensor] : tensors) require_whole(tensor);
  // What was read can be written, and is then the same.
  files::Metadata again;
  const TensorMap copies = files::parse_safetensors(files::format_safetensors(tensors, metadata), "file", &again);
  require(again == metadata, "metadata change when written");
  require(copies.size() == tensors.size(), "tensors get lost when written");
  for (const auto& [name, tensor] : tensors)
    require(copies.contains(name) && equal(copies.at(name), tensor), "a tensor changes when written");
}

}  // namespace gmc::fuzz
