// Random orders without memory: a function of (key, place).
#pragma once

#include <cstdint>

namespace gmc::data {

// Where number `i` of 0..count-1 stands: for each key a permutation, by a balanced Feistel network of six rounds over
// the next power of 4 (Luby & Rackoff, "How to construct pseudorandom permutations", 1988), walked until it falls below
// `count` (Black & Rogaway, "Ciphers with arbitrary finite domains", 2002, section 3). Expects 0 <= i < count.
int64_t permuted(uint64_t key, int64_t count, int64_t i);

}  // namespace gmc::data
