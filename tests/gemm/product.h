// Runs a generated product on buffers that end (or begin) at pages which cannot be touched.
#pragma once

#include "runtime/base/error.h"
#include "tools/bench/product_alone.h"

#include <gtest/gtest.h>

#include <sys/mman.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

namespace gmc::codegen {

class GuardedFloats {
public:
  // `at_end`: the last float is the last of its page, otherwise the first is the first of its page.
  GuardedFloats(int64_t floats, bool at_end) : floats_(floats) {
    const size_t bytes = static_cast<size_t>(floats) * 4, inside = (bytes + page - 1) / page * page;
    size_ = inside + 2 * page;
    void* p = mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) fail("cannot map {} bytes", size_);
    base_ = static_cast<char*>(p);
    if (mprotect(base_ + page, inside, PROT_READ | PROT_WRITE)) fail("cannot open {} bytes", inside);
    data_ = reinterpret_cast<float*>(base_ + page + (at_end ? inside - bytes : 0));
  }
  ~GuardedFloats() { munmap(base_, size_); }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;
  float* data() { return data_; }
  int64_t size() const { return floats_; }
  void fill(uint32_t seed, bool integers) {
    std::mt19937 bits(seed);
    std::uniform_int_distribution<int> whole(-4, 4);
    std::uniform_real_distribution<float> real(-1, 1);
    for (int64_t i = 0; i < floats_; ++i) data_[i] = integers ? static_cast<float>(whole(bits)) : real(bits);
  }

private:
  static constexpr size_t page = 4096;
  int64_t floats_;
  size_t size_ = 0;
  char* base_ = nullptr;
  float* data_ = nullptr;
};

// c = relu(acc + bias), the shape of a linear layer. Buffers: a, b, packed, c, bias.
inline GemmEpilogue bias_relu(int64_t n) {
  return [n](const GemmEpilogueArgs& e) {
    auto& b = e.builder;
    auto* type = e.acc->getType();
    auto* zero = llvm::Constant::getNullValue(type);
    const auto pointer = [&](uint64_t index) {
      return e.entry.CreateLoad(b.getPtrTy(), e.entry.CreateConstInBoundsGEP1_64(b.getPtrTy(), e.buffers, index));
    };
    llvm::Value *c = pointer(3), *bias = pointer(4);
    auto* every = llvm::ConstantInt::getTrue(llvm::VectorType::get(b.getInt1Ty(), llvm::cast<llvm::VectorType>(type)));
    llvm::Value* mask = e.mask ? e.mask : every;
    auto* x = b.CreateMaskedLoad(type, b.CreateInBoundsGEP(b.getFloatTy(), bias, e.column), llvm::Align(4), mask, zero);
    auto* sum = b.CreateFAdd(e.acc, x);
    auto* y = b.CreateSelect(b.CreateFCmpOGT(sum, zero), sum, zero);
    auto* at = b.CreateNSWAdd(b.CreateNSWMul(e.row, b.getInt64(static_cast<uint64_t>(n))), e.column);
    b.CreateMaskedStore(y, b.CreateInBoundsGEP(b.getFloatTy(), c, at), llvm::Align(4), mask);
  };
}

inline std::string assembly_of(const GemmShape& shape, const GemmTiling& tiling, const Target& target) {
  llvm::LLVMContext context;
  auto machine = make_target_machine(target);
  auto module = make_module(context, "product", *machine);
  emit_alone(*module, shape, tiling, target, bias_relu(shape.n));
  optimise(*module, *machine);
  return emit_assembly(*module, *machine);
}

inline RunnableProduct compile_product(const GemmShape& shape, const GemmTiling& tiling, const Target& target,
                                       const GemmEpilogue& epilogue) {
  llvm::LLVMContext context;
  auto machine = make_target_machine(target);
  auto module = make_module(context, "product", *machine);
  const ProductAlone product = emit_alone(*module, shape, tiling, target, epilogue);
  optimise(*module, *machine);
  return RunnableProduct(product, emit_object(*module, *machine));
}

// How the tiles of a phase are handed out.
enum class Order { forwards, backwards, chunks };

template <class From>
void run_tiles(int64_t tiles, Order order, From from) {
  if (order == Order::forwards) return from(0, tiles);
  if (order == Order::backwards) {
    for (int64_t i = tiles; i-- > 0;) from(i, i + 1);
    return;
  }
  const int64_t cut = (tiles + 2) / 3;
  from(std::min(2 * cut, tiles), tiles);
  from(0, cut);
  from(cut, std::min(2 * cut, tiles));
}

// The outputs of the generated code.
inline std::vector<float> run_product(const GemmShape& s, const GemmTiling& t, const Target& target, GuardedFloats& a,
                                      GuardedFloats& b, GuardedFloats& bias, Order order, bool at_end) {
  RunnableProduct product = compile_product(s, t, target, bias_relu(s.n));
  GuardedFloats packed(std::max<int64_t>(16, t.packed_bytes / 4), at_end), scratch(t.scratch_bytes / 4, at_end);
  GuardedFloats c(batches_of(s) * s.m * s.n, at_end);
  for (GuardedFloats* f : {&packed, &scratch, &c}) std::fill_n(f->data(), f->size(), std::nanf(""));
  product.give({a.data(), b.data(), packed.data(), c.data(), bias.data()});
  if (t.pack_tiles)
    run_tiles(t.pack_tiles, order, [&](int64_t begin, int64_t end) { product.pack(begin, end, scratch.data()); });
  run_tiles(t.compute_tiles, order, [&](int64_t begin, int64_t end) { product.compute(begin, end, scratch.data()); });
  return {c.data(), c.data() + c.size()};
}

// Plain loops with the promised order and rounding.
inline std::vector<float> reference_product(const GemmShape& s, GuardedFloats& a, GuardedFloats& b, GuardedFloats& bias,
                                            bool fused, bool relu = true) {
  std::vector<float> c;
  for (int64_t batch = 0; batch < batches_of(s); ++batch) {
    const float *first_a = a.data() + s.base_a, *first_b = b.data() + s.base_b;
    int64_t left = batch;
    for (size_t d = s.batch.size(); d-- > 0; left /= s.batch[d].extent) {
      first_a += left % s.batch[d].extent * s.batch[d].a;
      first_b += left % s.batch[d].extent * s.batch[d].b;
    }
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j) {
        float sum = 0;
        for (int64_t k = 0; k < s.k; ++k) {
          const float x = first_a[s.transpose_a ? k * s.lda + i : i * s.lda + k];
          const float y = first_b[s.transpose_b ? j * s.ldb + k : k * s.ldb + j];
          sum = fused ? std::fma(x, y, sum) : x * y + sum;
        }
        sum += bias.data()[j];
        c.push_back(sum > 0 || !relu ? sum : 0);
      }
  }
  return c;
}

struct Inputs {
  GuardedFloats a, b, bias;
  // The last row of an operand is as long as it has to be, so a read past it leaves the buffer.
  Inputs(const GemmShape& s, bool integers, bool at_end)
      : a(last(s, &GemmBatch::a) + s.base_a + (s.transpose_a ? (s.k - 1) * s.lda + s.m : (s.m - 1) * s.lda + s.k),
          at_end),
        b(last(s, &GemmBatch::b) + s.base_b + (s.transpose_b ? (s.n - 1) * s.ldb + s.k : (s.k - 1) * s.ldb + s.n),
          at_end),
        bias(s.n, at_end) {
    a.fill(1, integers);
    b.fill(2, integers);
    bias.fill(3, integers);
  }
  // Of the last product's operand, in floats behind the first one's.
  static int64_t last(const GemmShape& s, int64_t GemmBatch::* stride) {
    int64_t at = 0;
    for (const GemmBatch& axis : s.batch) at += (axis.extent - 1) * std::max<int64_t>(0, axis.*stride);
    return at;
  }
};

inline std::string text_of(const GemmShape& s, const GemmTiling& t, const Target& target) {
  std::string batch;
  for (const GemmBatch& axis : s.batch) batch += fmt::format("{} (a {}, b {}) x ", axis.extent, axis.a, axis.b);
  return fmt::format("{}{} x {} x {} {}{} lda {} ldb {}, {}: {}{}{}{}{} rows x {} vectors, k {}, grid {} x {} x {}",
                     batch, s.m, s.n, s.k, "NT"[s.transpose_a], "NT"[s.transpose_b], s.lda, s.ldb, target.name,
                     t.swapped ? "swapped " : "", t.packed ? "packed " : "", t.packs_in_tile ? "in the tile " : "",
                     t.copied_rows ? "copied " : "", t.row_block, t.panel_vectors, t.k_block, t.grid_batches,
                     t.grid_rows, t.grid_columns);
}

inline bool same_bits(const std::vector<float>& x, const std::vector<float>& y) {
  return x.size() == y.size() && std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
}

inline void expect_product(const GemmShape& s, const GemmTiling& t, const Target& target, bool integers, Order order,
                           bool at_end) {
  Inputs in(s, integers, at_end);
  const auto expected = reference_product(s, in.a, in.b, in.bias, target.lanes >= 8);
  const auto got = run_product(s, t, target, in.a, in.b, in.bias, order, at_end);
  EXPECT_TRUE(same_bits(expected, got)) << text_of(s, t, target);
}

}  // namespace gmc::codegen
