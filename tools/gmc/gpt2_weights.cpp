#include "tools/gmc/gpt2_weights.h"

#include "runtime/base/error.h"

#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace gmc::tool {
namespace {

constexpr std::string_view prefix = "transformer.";
// Layers whose weights are transposed, and what ar-gpt calls them.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> layers{
    {{".attn.c_attn.", ".attn."}, {".attn.c_proj.", ".proj."}, {".mlp.c_fc.", ".fc."}, {".mlp.c_proj.", ".fc_proj."}}};

std::string without_prefix(const std::string& name) {
  return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

float half(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
  const float magnitude = exponent == 0 ? static_cast<float>(fraction) * 0x1p-24f
                                        : std::bit_cast<float>((exponent + 112) << 23 | fraction << 13);
  return sign ? -magnitude : magnitude;
}

HostTensor widened(const HostTensor& t) {
  if (t.dtype != DType::f16 && t.dtype != DType::bf16) return t;
  HostTensor out(DType::f32, t.shape);
  for (int64_t i = 0; i < t.count(); ++i) {
    const uint16_t bits = t.as<uint16_t>()[i];
    out.as<float>()[i] = t.dtype == DType::f16 ? half(bits) : std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
  return out;
}

HostTensor transposed(const HostTensor& t) {
  HostTensor out(t.dtype, {t.shape[1], t.shape[0]});
  const size_t size = size_of(t.dtype);
  for (int64_t i = 0; i < t.shape[0]; ++i)
    for (int64_t j = 0; j < t.shape[1]; ++j)
      std::memcpy(out.bytes.data() + static_cast<size_t>(j * t.shape[0] + i) * size,
                  t.bytes.data() + static_cast<size_t>(i * t.shape[1] + j) * size, size);
  return out;
}

bool is_mask(const std::string& name, const HostTensor& t) {
  return name.ends_with(".attn.masked_bias") || (name.ends_with(".attn.bias") && t.shape.size() == 4);
}

}  // namespace

bool are_gpt2_weights(const TensorMap& tensors) {
  return tensors.count("h.0.attn.c_attn.weight") || tensors.count("transformer.h.0.attn.c_attn.weight");
}

TensorMap from_gpt2(const TensorMap& tensors, const std::string& path) {
  TensorMap out;
  for (const auto& [full, tensor] : tensors) {
    std::string name = without_prefix(full);
    if (is_mask(name, tensor)) continue;
    HostTensor value = widened(tensor);
    for (const auto& [theirs, ours] : layers) {
      const size_t at = name.find(theirs);
      if (at == std::string::npos) continue;
      name.replace(at, theirs.size(), ours);
      if (value.shape.size() == 2) value = transposed(value);
      break;
    }
    if (!out.emplace(name, std::move(value)).second) fail("'{}' holds '{}' twice", path, name);
  }
  const auto head = out.find("lm_head.weight"), table = out.find("wte.weight");
  if (head == out.end()) return out;
  if (table == out.end() || head->second.shape != table->second.shape || head->second.bytes != table->second.bytes)
    fail("'{}': lm_head.weight differs from wte.weight; the head of ar-gpt is tied to its embedding", path);
  out.erase(head);
  return out;
}

}  // namespace gmc::tool
