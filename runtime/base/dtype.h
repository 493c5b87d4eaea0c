// Element types of tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace gmc {

enum class DType : uint8_t { f32, f16, bf16, f64, i32, i64, i8, u8, boolean };

inline constexpr DType f32 = DType::f32, f16 = DType::f16, bf16 = DType::bf16, f64 = DType::f64, i32 = DType::i32,
                       i64 = DType::i64, i8 = DType::i8, u8 = DType::u8, boolean = DType::boolean;

// Bytes of one element.
size_t size_of(DType);
// `f32`, ..., `bool`, as printed in every text form.
std::string_view name_of(DType);
std::optional<DType> dtype_named(std::string_view);
bool is_float(DType);
inline bool is_half(DType d) { return d == f16 || d == bf16; }
// The value of a floating dtype nearest to `value`, ties to even; beyond the largest, infinity.
double rounded_to(DType, double value);

}  // namespace gmc
