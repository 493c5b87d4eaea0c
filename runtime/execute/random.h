// The published random streams of gmc: what a named draw is, for every backend.
//
// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC'11, table 2 and section 3.3) in
// counter mode.
//   key     = (low, high) 32 bits of fold(fold(seed, stream), step)
//   counter = (low, high) 32 bits of block, then (low, high) 32 bits of the flattened loop index
// The flattened index is 0 outside loops; trip i of a loop of at most n trips makes it (that around) * n + i, modulo
// 2^64, with n = 2^32 for a loop without limit.
// Element e of a draw is word e % 4 of block e / 4. A stream is the 64-bit FNV-1a hash of `entry/scope/draw name`.
#pragma once

#include <stdint.h>

namespace gmc::execute {

struct Words {
  uint32_t w[4];
};

// splitmix64's finaliser (Steele et al., "Fast splittable pseudorandom number generators", OOPSLA'14) of a + golden
// ratio * (b + 1).
constexpr uint64_t fold(uint64_t a, uint64_t b) {
  uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

constexpr uint64_t stream_key(uint64_t seed, uint64_t stream, uint64_t step) { return fold(fold(seed, stream), step); }

inline constexpr uint64_t unbounded_loop = uint64_t{1} << 32;
constexpr uint64_t loop_index(uint64_t around, uint64_t bound, uint64_t i) { return around * bound + i; }

constexpr uint64_t stream_of(const char* name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; *name; ++name) h = (h ^ static_cast<uint8_t>(*name)) * 0x100000001b3u;
  return h;
}

constexpr Words philox(uint64_t key, uint64_t block, uint64_t loop = 0) {
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  Words c{{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32), static_cast<uint32_t>(loop),
           static_cast<uint32_t>(loop >> 32)}};
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xd2511f53u} * c.w[0], b = uint64_t{0xcd9e8d57u} * c.w[2];
    c = Words{{static_cast<uint32_t>(b >> 32) ^ c.w[1] ^ k0, static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ c.w[3] ^ k1, static_cast<uint32_t>(a)}};
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  return c;
}

constexpr uint32_t random_word(uint64_t key, uint64_t element, uint64_t loop = 0) {
  return philox(key, element / 4, loop).w[element % 4];
}

// Uniform in [0, 1): the top 24 bits, so that f32 holds it exactly.
constexpr double uniform_of(uint32_t word) { return static_cast<double>(word >> 8) * 0x1p-24; }

// Standard normal by inversion: the sign is bit 31, and with v the low 31 bits, |z| = sqrt(2) erfinv((v + 1/2) / 2^31).
// Exact to about 1e-15; kernels compute the same function in f32 within the bound of docs/numerics.md.
double normal_of(uint32_t word);

}  // namespace gmc::execute
