// The random streams of runtime/execute/random.h, on vectors.
#include "compiler/codegen/vector_math.h"

#include "compiler/codegen/vector_math_detail.h"
#include "compiler/codegen/vector_math_f64.h"

#include <limits>
#include <numeric>
#include <vector>

namespace gmc::codegen {

using llvm::Value;

namespace {

constexpr uint64_t low_half = 0xffffffff;

// The lanes begin .. begin + count - 1 of a and b laid end to end.
Value* window(llvm::IRBuilder<>& b, Value* first, Value* second, int begin, int count) {
  std::vector<int> mask(static_cast<size_t>(count));
  std::iota(mask.begin(), mask.end(), begin);
  return b.CreateShuffleVector(first, second, mask);
}

}  // namespace

Value* VectorMath::stream_key(Value* run, Value* stream) {
  auto field = [&](unsigned index) {
    Value* address = b_.CreateConstInBoundsGEP1_64(b_.getInt64Ty(), run, index);
    return b_.CreateAlignedLoad(b_.getInt64Ty(), address, llvm::Align(8));
  };
  constexpr uint64_t golden = 0x9e3779b97f4a7c15u;
  auto mix = [&](Value* z) {
    auto fold_down = [&](Value* v, uint64_t bits) { return b_.CreateXor(v, b_.CreateLShr(v, bits)); };
    z = b_.CreateMul(fold_down(z, 30), b_.getInt64(0xbf58476d1ce4e5b9u));
    z = b_.CreateMul(fold_down(z, 27), b_.getInt64(0x94d049bb133111ebu));
    return fold_down(z, 31);
  };
  Value* streams = b_.CreateMul(b_.CreateAdd(stream, b_.getInt64(1)), b_.getInt64(golden));
  Value* seeded = mix(b_.CreateAdd(field(0), streams));
  Value* steps = b_.CreateMul(b_.CreateAdd(field(1), b_.getInt64(1)), b_.getInt64(golden));
  return mix(b_.CreateAdd(seeded, steps));
}

VectorMath::Block VectorMath::philox(Value* key, Value* blocks, Value* loop) {
  const auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(blocks->getType());
  auto spread = [&](Value* scalar) { return vector ? b_.CreateVectorSplat(vector->getNumElements(), scalar) : scalar; };
  // Words live in the low halves of 64-bit lanes, where a product of two words is one instruction; what is in the high
  // halves is masked away where it would matter, which that instruction does by itself.
  Value* mask = whole(blocks, low_half);
  Value* k0 = spread(key);
  Value* k1 = spread(b_.CreateLShr(key, 32));
  if (!loop) loop = b_.getInt64(0);
  Value* c[4] = {blocks, b_.CreateLShr(blocks, 32), spread(loop), spread(b_.CreateLShr(loop, 32))};
  for (uint64_t round = 0; round < 10; ++round) {
    Value* a = b_.CreateMul(b_.CreateAnd(c[0], mask), whole(blocks, 0xd2511f53));
    Value* b = b_.CreateMul(b_.CreateAnd(c[2], mask), whole(blocks, 0xcd9e8d57));
    Value* round0 = b_.CreateAdd(k0, whole(blocks, round * 0x9e3779b9u));
    Value* round1 = b_.CreateAdd(k1, whole(blocks, round * 0xbb67ae85u));
    Value* w0 = b_.CreateXor(b_.CreateXor(b_.CreateLShr(b, 32), c[1]), round0);
    Value* w2 = b_.CreateXor(b_.CreateXor(b_.CreateLShr(a, 32), c[3]), round1);
    c[0] = w0, c[1] = b, c[2] = w2, c[3] = a;
  }
  return {{c[0], c[1], c[2], c[3]}};
}

Value* VectorMath::philox_words(Value* key, Value* first, Value* loop) {
  // Blocks first/4 .. cover the elements whatever first % 4 is; their words in order are then shifted by first % 4.
  // The number of blocks is a power of two: other vectors are widened to one anyway.
  const int blocks = lanes_ >= 16 ? 8 : lanes_ >= 8 ? 4 : lanes_ >= 2 ? 2 : 1;
  auto* wide = llvm::FixedVectorType::get(b_.getInt64Ty(), static_cast<unsigned>(blocks));
  auto* half = llvm::FixedVectorType::get(b_.getInt32Ty(), static_cast<unsigned>(blocks));
  Value* base = b_.CreateVectorSplat(static_cast<unsigned>(blocks), b_.CreateLShr(first, 2));
  const Block block = philox(key, b_.CreateAdd(base, b_.CreateStepVector(wide)), loop);
  Value* w[4];
  for (int i = 0; i < 4; ++i) w[i] = b_.CreateTrunc(block.words[i], half);
  // All words of the even and the odd half of each block, then all in order: lane 4 k + i is word i of block k.
  std::vector<int> pairs, order;
  for (int k = 0; k < 2 * blocks; ++k) pairs.push_back(k);
  Value* low = b_.CreateShuffleVector(w[0], w[1], pairs);
  Value* high = b_.CreateShuffleVector(w[2], w[3], pairs);
  for (int k = 0; k < blocks; ++k)
    for (int i : {0, 1, 2, 3}) order.push_back(k + i * blocks);
  Value* words = b_.CreateShuffleVector(low, high, order);
  // Shift by 2, then by 1, where the bits of first % 4 say so.
  Value* offset = b_.CreateTrunc(first, b_.getInt32Ty());
  int count = lanes_ + 3;
  for (int by : {2, 1}) {
    count -= by;
    Value* set = b_.CreateICmpNE(b_.CreateAnd(offset, b_.getInt32(static_cast<uint32_t>(by))), b_.getInt32(0));
    Value* shifted = window(b_, words, words, by, count);
    words = b_.CreateSelect(b_.CreateVectorSplat(static_cast<unsigned>(count), set), shifted,
                            window(b_, words, words, 0, count));
  }
  return words;
}

Value* VectorMath::philox_words_at(Value* key, Value* elements, Value* loop) {
  const Block block = philox(key, b_.CreateLShr(elements, 2), loop);
  auto bit = [&](uint64_t value) {
    return b_.CreateICmpNE(b_.CreateAnd(elements, whole(elements, value)), whole(elements, 0));
  };
  Value* odd = bit(1);
  Value* low = b_.CreateSelect(odd, block.words[1], block.words[0]);
  Value* high = b_.CreateSelect(odd, block.words[3], block.words[2]);
  return b_.CreateTrunc(b_.CreateSelect(bit(2), high, low), with_element(elements, b_.getInt32Ty()));
}

Value* VectorMath::uniform_from_bits(Value* words) {
  Exact exact(b_);
  // 24 bits: the conversion and the product are exact.
  Value* f = b_.CreateSIToFP(b_.CreateLShr(words, 8), with_element(words, b_.getFloatTy()));
  return b_.CreateFMul(f, real(f, 0x1p-24));
}

Value* VectorMath::quantile(Value* p, Value* q, double factor) {
  // w = -log(1 - p^2) = -log(q (2 - q)) and erfinv p = p P(w): the change of variable of Giles, "Approximating the
  // erfinv function" (GPU Computing Gems, 2011). P is that of sqrt(2) erfinv p.
  const Logarithm parts = split(b_.CreateFMul(q, b_.CreateFSub(real(q, 2), q)));
  Value* w = b_.CreateFNeg(logarithm(b_.CreateSIToFP(parts.exponent, p->getType()), parts.fraction));
  // P in w for w < 5.625 (relative error below 2.8e-8), in sqrt(w) - 0x1.c458p1 above (below 4.9e-8).
  constexpr double middle[] = {0x1.40d932p+0,  0x1.4ffe12p-2,  0x1.0b850ap-6,   -0x1.af6200p-9, -0x1.91e2fep-13,
                               0x1.25c3ecp-14, 0x1.a49ac4p-19, -0x1.32632ep-19, 0x1.1364c6p-22, -0x1.53dd56p-27};
  constexpr double tail[] = {0x1.30fcf8p+2,   0x1.6cc8ecp+0,  0x1.1d4762p-8,   -0x1.66ae10p-9, 0x1.64014ap-10,
                             -0x1.9ad740p-11, 0x1.41b282p-11, -0x1.87b890p-12, 0x1.6c59bap-15, 0x1.40883cp-15};
  Value* far = b_.CreateFCmpOGE(w, real(w, 5.625));
  Value* t = b_.CreateSelect(far, b_.CreateFSub(root(w), real(w, 0x1.c458p1)), w);
  auto coefficient = [&](size_t i) { return b_.CreateSelect(far, real(w, tail[i]), real(w, middle[i])); };
  Value* sum = coefficient(std::size(middle) - 1);
  for (size_t i = std::size(middle) - 1; i-- > 0;) sum = fma(sum, t, coefficient(i));
  if (factor != 1) sum = b_.CreateFMul(sum, real(sum, factor));
  return b_.CreateFMul(p, sum);
}

Value* VectorMath::normal_from_bits(Value* words) {
  Exact exact(b_);
  llvm::Type* floats = with_element(words, b_.getFloatTy());
  auto fraction = [&](Value* bits) {
    Value* f = b_.CreateSIToFP(bits, floats);
    return b_.CreateFMul(b_.CreateFAdd(f, real(f, 0.5)), real(f, 0x1p-31));
  };
  // q = 1 - p from the complemented bits.
  Value* low = b_.CreateAnd(words, whole(words, 0x7fffffff));
  Value* p = fraction(low);
  Value* q = fraction(b_.CreateXor(low, whole(low, 0x7fffffff)));
  return copysign(quantile(p, q, 1), as_float(words));
}

Value* VectorMath::erfinv(Value* x) {
  if (is_double(x)) return DoubleMath(b_, fused_).erfinv(x);
  Exact exact(b_);
  Value* size = abs(x);
  Value* y = quantile(size, b_.CreateFSub(real(x, 1), size), 0x1.6a09e6p-1);
  y = either(is_equal(size, 1), std::numeric_limits<double>::infinity(), y);
  y = b_.CreateSelect(is_less(size, 0x1p127), y, x);  // NaN
  return copysign(either(is_more(size, 1), std::numeric_limits<double>::quiet_NaN(), y), x);
}

}  // namespace gmc::codegen
