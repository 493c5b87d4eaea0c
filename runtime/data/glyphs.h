// Images of digits that need no download: the data of the quick start.
#pragma once

#include "runtime/base/tensor.h"

namespace gmc::data {

inline constexpr int64_t glyph_side = 28;

// f32 [count, 28, 28] in [0, 1], multiples of 1/255, light on dark: digits written as smooth anti-aliased strokes, each
// with its own form of the digit, bends, size, slant, rotation, position, pen and ink. Image i depends on i alone
// (stream "data/glyphs" of runtime/execute/random.h, seed 0, step i); no function of the maths library but sqrt and
// floor, which are exact, takes part.
HostTensor draw_glyphs(int64_t count);

// Which digit, 0 to 9, image `i` shows.
int glyph_digit(int64_t i);

}  // namespace gmc::data
