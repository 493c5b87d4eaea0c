#include "compiler/kernel/kernel.h"
#include "tests/fuzz/fuzz.h"

namespace gmc::fuzz {

std::vector<Seed> seeds() {
  return {seed_of(R"(kernel k3.fc1/softmax
param 0 in f32 24 x
param 1 out f32 24 softmax
param 2 in f32 6 bias
param 3 out f32 4 row sums
param 4 out f32 6 column sums
param 5 out bool 24 mask
param 6 temporary f32 12 partial results
phase
region extents [4,6] tile [2,6]
%0 = load 0 {0 [6,1]}
%1 = load 2 {0 [0,1]}
%2 = add %0 %1
%3 = row max %2
%4 = constant 0.25
%5 = less %2 %4 bool
store 5 {0 [6,1]} %5
store 3 {0 [1,0]} %3
%8 = random normal 18446744073709551615 {0 [6,1]}
%9 = select %5 %8 %2
store 1 {0 [6,1]} %9
fold sum 6 {0 [0,1]} %9
phase
region extents [2,6] tile [2,6]
%0 = load 6 {0 [6,1]}
fold sum 4 {0 [0,1]} %0
)"),
          seed_of(R"(kernel k1.matmul
param 0 in f32 12 a
param 1 in f32 20 b
param 2 out f32 15 c
param 3 temporary f32 20 packed
phase
region extents [3,5] tile [1,1]
product a 0 b 1 packed 3 k 4 lda 4 ldb 4 transpose 0 1
%0 = product
%1 = constant inf
%2 = min %0 %1
store 2 {0 [5,1]} %2
)"),
          seed_of(R"(kernel k2.scores
param 0 in f32 130 qkv
param 1 out f32 36 c
phase
region extents [2,2,3,3] tile [1,1]
product a 0 b 0 packed -1 k 4 lda 20 ldb 20 transpose 0 1 at {0 [60,8]} {5 [60,8]}
%0 = product
store 1 {0 [18,9,3,1]} %0
)")};
}

void read(files::Bytes bytes) {
  const kernel::Kernel k = kernel::parse(text_of(bytes));
  const std::string text = kernel::print(k);
  require(kernel::print(kernel::parse(text)) == text, "a kernel changes when printed:\n" + text);
  // What later stages ask of a kernel that was admitted.
  for (const kernel::Phase& phase : k.phases)
    for (const kernel::Region& region : phase.regions) {
      require(kernel::spans_of(region).size() == region.body.size(), "an instruction without a span");
      if (!region.product) require(kernel::tiles_of(region) >= 1, "a region without tiles");
    }
}

}  // namespace gmc::fuzz
